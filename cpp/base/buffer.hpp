// Memory aligned for the widest vectors; throws std::bad_alloc.
#pragma once
#ifdef __linux__
#include <sys/mman.h>
#endif
#ifdef _WIN32
#include <malloc.h>
#endif

#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>

namespace ketgrad {

/// What gives back the memory of a buffer, also after `release`.
inline void free_memory(void* memory) noexcept {
#ifdef _WIN32
    _aligned_free(memory);
#else
    std::free(memory);
#endif
}

struct FreeMemory {
    void operator()(void* memory) const { free_memory(memory); }
};

template <class Value>
using Buffer = std::unique_ptr<Value[], FreeMemory>;

/// Uninitialised room for `count` values, aligned to 64 bytes; much of it in huge pages where the system has them, since
/// states are walked through in strides, again and again.
template <class Value>
Buffer<Value> allocate(std::size_t count) {
    constexpr std::size_t line = 64, huge_page = std::size_t(1) << 21;
    if (count > (std::numeric_limits<std::size_t>::max() - huge_page) / sizeof(Value)) throw std::bad_alloc();
    const std::size_t wanted = count ? count * sizeof(Value) : 1;
    const std::size_t unit = wanted > 2 * huge_page ? huge_page : line, bytes = (wanted + unit - 1) / unit * unit;
#ifdef _WIN32
    void* memory = _aligned_malloc(bytes, unit);
#else
    void* memory = std::aligned_alloc(unit, bytes);
#endif
    if (!memory) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
    if (unit == huge_page) madvise(memory, bytes, MADV_HUGEPAGE);  // a wish: without it the pages are small
#endif
    return Buffer<Value>(static_cast<Value*>(memory));
}

template <class Value>
Buffer<Value> allocate_zeros(std::size_t count) {
    Buffer<Value> buffer = allocate<Value>(count);
    std::memset(static_cast<void*>(buffer.get()), 0, count * sizeof(Value));
    return buffer;
}

}  // namespace ketgrad
