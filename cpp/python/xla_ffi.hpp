// The part of XLA's foreign function interface that a handler on the CPU needs: its stable C ABI, version 0.1 and later.
// Every struct begins with its size; fields are only ever added at the end. tests/bridges/test_bridge_jax.py compares these
// declarations with the headers of the jaxlib that is installed, when there is one; none is needed to build ketgrad.
#pragma once
#include <cstddef>
#include <cstdint>

namespace ketgrad::xla {

enum class Stage : int { instantiate = 0, prepare = 1, initialize = 2, execute = 3 };
enum class ErrorCode : int { invalid_argument = 3, not_found = 5, resource_exhausted = 8, internal = 13 };
enum class DataType : int { s32 = 4, s64 = 5, f32 = 11, f64 = 12, c64 = 15, c128 = 18 };
enum class AttributeKind : int { scalar = 3 };
enum class ExtensionKind : int { metadata = 1 };

inline constexpr int api_major = 0;
inline constexpr int api_minor = 1;  // the oldest that has all of this

struct Error;  // XLA's own

struct Extension {
    std::size_t struct_size;
    ExtensionKind kind;
    Extension* next;
};

struct Version {
    std::size_t struct_size;
    Extension* extension;
    int major_version;
    int minor_version;
};

struct ErrorArguments {
    std::size_t struct_size;
    Extension* extension;
    const char* message;
    ErrorCode code;
};

struct Api {
    std::size_t struct_size;
    Extension* extension;
    Version version;
    const void* internal;
    Error* (*create_error)(ErrorArguments*);
    // more functions follow
};

struct Buffer {
    std::size_t struct_size;
    Extension* extension;
    DataType type;
    void* data;
    std::int64_t rank;
    std::int64_t* dimensions;
};

/// Arguments, and results: kinds and pointers to buffers.
struct Buffers {
    std::size_t struct_size;
    Extension* extension;
    std::int64_t size;
    int* kinds;
    void** buffers;
};

struct Text {
    const char* data;
    std::size_t size;
};

struct Scalar {
    DataType type;
    void* value;
};

struct Attributes {
    std::size_t struct_size;
    Extension* extension;
    std::int64_t size;
    AttributeKind* kinds;
    Text** names;
    void** values;
};

struct Frame {
    std::size_t struct_size;
    Extension* extension;
    const Api* api;
    void* context;
    Stage stage;
    Buffers arguments;
    Buffers results;
    Attributes attributes;
    // more may follow
};

struct Metadata {
    std::size_t struct_size;
    Version version;
    std::uint32_t traits;
};

struct MetadataExtension {
    Extension base;
    Metadata* metadata;
};

}  // namespace ketgrad::xla
