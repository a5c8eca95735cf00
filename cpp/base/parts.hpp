// One allocation for many arrays.
#pragma once
#include <cstddef>
#include <utility>
#include <vector>

#include "base/buffer.hpp"

namespace ketgrad {

/// Hands out parts of one allocation, each aligned to 64 bytes.
template <class Value>
struct Parts {
    std::vector<std::pair<Value**, std::size_t>> wanted;

    void add(Value*& part, std::size_t count) { wanted.push_back({&part, (count + 15) / 16 * 16}); }
    Buffer<Value> allocate_all() {
        std::size_t total = 0;
        for (const auto& [part, count] : wanted) total += count;
        Buffer<Value> memory = allocate<Value>(total);
        Value* next = memory.get();
        for (const auto& [part, count] : wanted) {
            *part = next;
            next += count;
        }
        return memory;
    }
};

}  // namespace ketgrad
