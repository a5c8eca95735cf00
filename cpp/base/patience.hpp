// Compiling a long program asks now and then whether somebody wants it to end.
#pragma once
#include <functional>

namespace ketgrad {

/// Thrown out of a compilation that was asked to end.
struct CompilationStopped {};

/// The question for what compiles on this thread; null where nobody can answer.
inline thread_local const std::function<bool()>* compilation_must_end = nullptr;

/// Sets the question for the time of one compilation.
class Patience {
    const std::function<bool()> question;
    const std::function<bool()>* const before = compilation_must_end;

public:
    explicit Patience(std::function<bool()> must_end) : question(std::move(must_end)) { compilation_must_end = &question; }
    Patience(const Patience&) = delete;
    Patience& operator=(const Patience&) = delete;
    ~Patience() { compilation_must_end = before; }
};

/// Called for every operation that is compiled.
inline void poll_compilation() {
    thread_local unsigned calls = 0;
    if (++calls % 64 == 0 && compilation_must_end && (*compilation_must_end)()) throw CompilationStopped{};
}

}  // namespace ketgrad
