// Memory aligned for the widest vectors; throws std::bad_alloc.
#pragma once
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>

namespace ketgrad {

struct FreeMemory {
    void operator()(void* memory) const { std::free(memory); }
};

template <class Value>
using Buffer = std::unique_ptr<Value[], FreeMemory>;

/// Uninitialised room for `count` values, aligned to 64 bytes.
template <class Value>
Buffer<Value> allocate(std::size_t count) {
    if (count > (std::numeric_limits<std::size_t>::max() - 63) / sizeof(Value)) throw std::bad_alloc();
    const std::size_t bytes = (count * sizeof(Value) + 63) / 64 * 64;
    void* memory = std::aligned_alloc(64, bytes ? bytes : 64);
    if (!memory) throw std::bad_alloc();
    return Buffer<Value>(static_cast<Value*>(memory));
}

template <class Value>
Buffer<Value> allocate_zeros(std::size_t count) {
    Buffer<Value> buffer = allocate<Value>(count);
    std::memset(static_cast<void*>(buffer.get()), 0, count * sizeof(Value));
    return buffer;
}

}  // namespace ketgrad
