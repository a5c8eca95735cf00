// A library to preload: it counts the allocations that one module makes, lets the k-th of them fail, and knows which of
// them were not freed. Linux with glibc.
//
//     c++ -O1 -shared -fPIC allocations.cpp -o liballocations.so
//     LD_PRELOAD=./liballocations.so python ...
#include <dlfcn.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <new>

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);
}

namespace {

std::atomic<bool> watching{false};
std::atomic<std::uintptr_t> module_begin{0}, module_end{0};
std::atomic<long> count{0}, failing{0}, live{0};

constexpr std::size_t table_size = 1 << 20;  // open addressing; far more than a test ever has alive
void* table[table_size];
std::mutex table_mutex;

std::size_t place_of(const void* pointer) { return (reinterpret_cast<std::uintptr_t>(pointer) >> 4) % table_size; }

bool is_ours(const void* caller) {
    const auto address = reinterpret_cast<std::uintptr_t>(caller);
    return watching && address >= module_begin && address < module_end;
}

bool fails() { return ++count == failing; }

void remember(void* pointer) {
    const std::lock_guard lock(table_mutex);
    std::size_t place = place_of(pointer);
    while (table[place] && table[place] != reinterpret_cast<void*>(1)) place = (place + 1) % table_size;
    table[place] = pointer;
    ++live;
}

void forget(void* pointer) {
    if (!pointer || live == 0) return;
    const std::lock_guard lock(table_mutex);
    for (std::size_t place = place_of(pointer); table[place]; place = (place + 1) % table_size)
        if (table[place] == pointer) {
            table[place] = reinterpret_cast<void*>(1);  // a grave, so that later entries are still found
            --live;
            return;
        }
}

void* allocate(std::size_t size, std::size_t alignment, const void* caller) {
    const bool ours = is_ours(caller);
    if (ours && fails()) return nullptr;
    void* pointer = alignment ? __libc_memalign(alignment, size) : __libc_malloc(size);
    if (ours && pointer) remember(pointer);
    return pointer;
}

void* allocate_or_throw(std::size_t size, std::size_t alignment, const void* caller) {
    if (void* pointer = allocate(size, alignment, caller)) return pointer;
    throw std::bad_alloc();
}

void release(void* pointer) {
    forget(pointer);
    __libc_free(pointer);
}

}  // namespace

extern "C" {

/// Watch the module that contains `address`, whose code lies in [begin, end).
void allocations_watch(std::uintptr_t begin, std::uintptr_t end) {
    module_begin = begin;
    module_end = end;
    watching = true;
}
/// Start counting anew; the k-th allocation from now on fails (0: none).
void allocations_fail_at(long k) {
    count = 0;
    failing = k;
}
long allocations_counted() { return count; }
long allocations_live() { return live; }

void* malloc(std::size_t size) { return allocate(size, 0, __builtin_return_address(0)); }
void* aligned_alloc(std::size_t alignment, std::size_t size) {
    return allocate(size, alignment, __builtin_return_address(0));
}
void free(void* pointer) { release(pointer); }
}

void* operator new(std::size_t size) { return allocate_or_throw(size, 0, __builtin_return_address(0)); }
void* operator new[](std::size_t size) { return allocate_or_throw(size, 0, __builtin_return_address(0)); }
void* operator new(std::size_t size, std::align_val_t alignment) {
    return allocate_or_throw(size, std::size_t(alignment), __builtin_return_address(0));
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
    return allocate(size, 0, __builtin_return_address(0));
}
void operator delete(void* pointer) noexcept { release(pointer); }
void operator delete[](void* pointer) noexcept { release(pointer); }
void operator delete(void* pointer, std::size_t) noexcept { release(pointer); }
void operator delete(void* pointer, std::align_val_t) noexcept { release(pointer); }
void operator delete(void* pointer, std::size_t, std::align_val_t) noexcept { release(pointer); }
