// JAX: compiled programs under integer names, and the handlers that XLA calls with them. No handler touches Python.
#include <nanobind/nanobind.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/buffer.hpp"
#include "python/program.hpp"
#include "python/xla_ffi.hpp"

namespace nb = nanobind;

namespace ketgrad {
namespace {

// -- programs under names ------------------------------------------------------------------------------------

/// A program that compiled JAX code may call. Python objects are released only where the GIL is held, so an entry
/// that nobody uses any more stays until the next change of the registry if a call is running it.
struct Entry {
    const Simulator* program = nullptr;
    const DualSimulator* second = nullptr;  // for derivatives along a direction, once they are asked for
    PyObject *owner = nullptr, *second_owner = nullptr;
    std::int64_t users = 0, running = 0;
};

struct Registry {
    std::mutex mutex;
    std::map<std::int64_t, Entry> entries;
};

Registry& registry() {
    static Registry* const programs = new Registry;  // never destroyed: XLA's threads may outlive the interpreter
    return *programs;
}

/// Takes out what is no longer used; the caller gives the objects back after the lock is gone.
std::vector<PyObject*> take_unused(Registry& programs) {
    std::vector<PyObject*> unused;
    for (auto it = programs.entries.begin(); it != programs.entries.end();) {
        const bool idle = !it->second.users && !it->second.running;
        if (idle) unused.insert(unused.end(), {it->second.owner, it->second.second_owner});
        it = idle ? programs.entries.erase(it) : std::next(it);
    }
    return unused;
}

template <class Change>
void change_registry(Change change) {
    std::vector<PyObject*> unused;
    {
        const std::lock_guard lock(registry().mutex);
        change(registry().entries);
        unused = take_unused(registry());
    }
    for (PyObject* object : unused) Py_XDECREF(object);
}

void keep_program(std::int64_t name, nb::object object) {
    const Simulator& program = simulator_inside(object);
    change_registry([&](auto& entries) {
        Entry& entry = entries[name];
        if (!entry.owner) {
            entry.program = &program;
            entry.owner = object.release().ptr();
        }
        ++entry.users;
    });
}

void keep_second(std::int64_t name, nb::object object) {
    const DualSimulator& program = nb::cast<const DualSimulator&>(object);
    change_registry([&](auto& entries) {
        const auto found = entries.find(name);
        if (found == entries.end() || found->second.second) return;
        found->second.second = &program;
        found->second.second_owner = object.release().ptr();
    });
}

void drop_program(std::int64_t name) {
    change_registry([&](auto& entries) {
        const auto found = entries.find(name);
        if (found != entries.end()) --found->second.users;
    });
}

std::vector<std::int64_t> kept_programs() {
    const std::lock_guard lock(registry().mutex);
    std::vector<std::int64_t> names;
    for (const auto& [name, entry] : registry().entries) names.push_back(name);
    return names;
}

/// A program for the time of one call.
struct Running {
    Entry* entry = nullptr;
    explicit Running(std::int64_t name) {
        const std::lock_guard lock(registry().mutex);
        const auto found = registry().entries.find(name);
        if (found == registry().entries.end()) return;
        entry = &found->second;  // entries of a map do not move
        ++entry->running;
    }
    ~Running() {
        if (!entry) return;
        const std::lock_guard lock(registry().mutex);
        --entry->running;
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
};

// -- what XLA hands over -------------------------------------------------------------------------------------

struct Refusal : std::runtime_error {
    xla::ErrorCode code;
    Refusal(const std::string& sentence, xla::ErrorCode code = xla::ErrorCode::internal)
        : std::runtime_error(sentence), code(code) {}
};

void require(bool condition, const char* sentence) {
    if (!condition) throw Refusal(sentence);
}

std::int64_t attribute(const xla::Frame& frame, const char* name) {
    const xla::Attributes& all = frame.attributes;
    for (std::int64_t i = 0; i < all.size; ++i) {
        const xla::Text& text = *all.names[i];
        if (text.size != std::strlen(name) || std::memcmp(text.data, name, text.size) != 0) continue;
        require(all.kinds[i] == xla::AttributeKind::scalar, "an attribute of a ketgrad call is not a number");
        const auto& scalar = *static_cast<const xla::Scalar*>(all.values[i]);
        require(scalar.type == xla::DataType::s64, "an attribute of a ketgrad call is not a 64-bit integer");
        return *static_cast<const std::int64_t*>(scalar.value);
    }
    throw Refusal(std::string("a ketgrad call lacks the attribute ") + name);
}

template <class Real>
constexpr xla::DataType real_type = sizeof(Real) == 8 ? xla::DataType::f64 : xla::DataType::f32;
template <class Real>
constexpr xla::DataType complex_type = sizeof(Real) == 8 ? xla::DataType::c128 : xla::DataType::c64;

/// Data of a matrix of that type and width; its rows are written to `rows`, or compared if that is not -1.
void* matrix(const xla::Buffers& buffers, std::int64_t i, xla::DataType type, std::int64_t columns, std::int64_t& rows) {
    require(i < buffers.size, "a ketgrad call has too few arrays");
    const auto& buffer = *static_cast<const xla::Buffer*>(buffers.buffers[i]);
    require(buffer.struct_size >= sizeof(xla::Buffer), "an array of XLA has an unknown layout");
    require(buffer.type == type, "an array of a ketgrad call has the wrong type");
    require(buffer.rank == 2 && buffer.dimensions[1] == columns, "an array of a ketgrad call has the wrong shape");
    require(rows == -1 || rows == buffer.dimensions[0], "arrays of a ketgrad call differ in their rows");
    rows = buffer.dimensions[0];
    return buffer.data;
}

/// A result, or memory of the call's own where the caller does not want that result.
template <class Real>
struct Output {
    ketgrad::Buffer<Real> own;
    Real* data = nullptr;
    Output(const xla::Frame& frame, std::int64_t i, xla::DataType type, std::int64_t rows, std::int64_t columns, bool wanted,
           int reals = 1) {
        const std::size_t count = std::size_t(rows) * std::size_t(columns) * std::size_t(reals);
        if (wanted) {
            data = static_cast<Real*>(matrix(frame.results, i, type, columns, rows));
            std::fill(data, data + count, Real(0));
        } else {
            own = allocate<Real>(count);
            data = own.get();
        }
    }
};

template <class Real>
Arrays<Real> bind_variables(const xla::Frame& frame, const Simulator& program) {
    Arrays<Real> arrays;
    arrays.weight_rows = arrays.input_rows = -1;
    const Program& own = program.program();
    arrays.weights = static_cast<const Real*>(matrix(frame.arguments, 0, real_type<Real>, own.num_weights, arrays.weight_rows));
    arrays.inputs = static_cast<const Real*>(matrix(frame.arguments, 1, real_type<Real>, own.num_inputs, arrays.input_rows));
    arrays.batch = arrays.weight_rows == 1 ? arrays.input_rows : arrays.weight_rows;
    require(arrays.input_rows == 1 || arrays.input_rows == arrays.batch, "weights and inputs differ in their rows");
    return arrays;
}

// -- the calls -----------------------------------------------------------------------------------------------

template <class Real>
void run_value(const xla::Frame& frame, const Entry& entry, int threads) {
    const Simulator& program = *entry.program;
    Arrays<Real> arrays = bind_variables<Real>(frame, program);
    const auto type = program.is_state() ? complex_type<Real> : real_type<Real>;
    Output<Real> values(frame, 0, type, arrays.batch, program.num_outputs(), true, program.is_state() ? 2 : 1);
    if (!arrays.batch) return;
    arrays.values = values.data;
    Interrupt nobody;  // can interrupt it
    program.run(arrays, threads, nobody);
}

/// Results in the order (dweights, dinputs), those of them whose bit in `by` is set: 1 for weights, 2 for inputs.
template <class Real>
void run_vjp(const xla::Frame& frame, const Entry& entry, int threads) {
    const Simulator& program = *entry.program;
    const std::int64_t by = attribute(frame, "by");
    const int reals = program.is_state() ? 2 : 1;
    Arrays<Real> arrays = bind_variables<Real>(frame, program);
    const auto type = program.is_state() ? complex_type<Real> : real_type<Real>;
    arrays.cotangent = static_cast<const Real*>(matrix(frame.arguments, 2, type, program.num_outputs(), arrays.batch));
    Output<Real> values(frame, 0, type, arrays.batch, program.num_outputs(), false, reals);
    Output<Real> dweights(frame, 0, real_type<Real>, arrays.weight_rows, program.program().num_weights, by & 1);
    Output<Real> dinputs(frame, by & 1, real_type<Real>, arrays.input_rows, program.program().num_inputs, by & 2);
    if (!arrays.batch) return;
    arrays.values = values.data;
    arrays.dweights = dweights.data;
    arrays.dinputs = dinputs.data;
    Interrupt nobody;  // can interrupt it
    program.run(arrays, threads, nobody);
}

/// The directions of the variables whose bit in `mask` is set; they follow the first `i` arguments.
template <class Real>
void bind_directions(const xla::Frame& frame, const Simulator& program, std::int64_t mask, std::int64_t i, DualArrays<Real>& arrays) {
    const Program& own = program.program();
    const auto read = [&](std::int64_t columns, std::int64_t rows) {
        return static_cast<const Real*>(matrix(frame.arguments, i++, real_type<Real>, columns, rows));
    };
    if (mask & 1) arrays.weights_direction = read(own.num_weights, arrays.point.weight_rows);
    if (mask & 2) arrays.inputs_direction = read(own.num_inputs, arrays.point.input_rows);
}

template <class Real>
void call_second(const Entry& entry, const DualArrays<Real>& arrays, int threads) {
    require(entry.second, "this circuit was not compiled for derivatives along a direction");
    Interrupt nobody;
    entry.second->run(arrays, threads, nobody);
}

/// The derivative of the values along a direction of the variables in `by`.
template <class Real>
void run_jvp(const xla::Frame& frame, const Entry& entry, int threads) {
    const Simulator& program = *entry.program;
    const int reals = program.is_state() ? 2 : 1;
    const auto type = program.is_state() ? complex_type<Real> : real_type<Real>;
    DualArrays<Real> arrays;
    arrays.point = bind_variables<Real>(frame, program);
    bind_directions(frame, program, attribute(frame, "by"), 2, arrays);
    Output<Real> values(frame, 0, type, arrays.point.batch, program.num_outputs(), false, reals);
    Output<Real> tangents(frame, 0, type, arrays.point.batch, program.num_outputs(), true, reals);
    arrays.point.values = values.data;
    arrays.tangents = tangents.data;
    call_second(entry, arrays, threads);
}

/// The derivative of `run_vjp` along a direction of the variables in `along`.
template <class Real>
void run_hvp(const xla::Frame& frame, const Entry& entry, int threads) {
    const Simulator& program = *entry.program;
    const std::int64_t by = attribute(frame, "by");
    const int reals = program.is_state() ? 2 : 1;
    const auto type = program.is_state() ? complex_type<Real> : real_type<Real>;
    DualArrays<Real> arrays;
    Arrays<Real>& point = arrays.point = bind_variables<Real>(frame, program);
    point.cotangent = static_cast<const Real*>(matrix(frame.arguments, 2, type, program.num_outputs(), point.batch));
    bind_directions(frame, program, attribute(frame, "along"), 3, arrays);
    Output<Real> values(frame, 0, type, point.batch, program.num_outputs(), false, reals);
    Output<Real> tangents(frame, 0, type, point.batch, program.num_outputs(), false, reals);
    Output<Real> dweights(frame, 0, real_type<Real>, point.weight_rows, program.program().num_weights, false);
    Output<Real> dinputs(frame, 0, real_type<Real>, point.input_rows, program.program().num_inputs, false);
    Output<Real> hweights(frame, 0, real_type<Real>, point.weight_rows, program.program().num_weights, by & 1);
    Output<Real> hinputs(frame, by & 1, real_type<Real>, point.input_rows, program.program().num_inputs, by & 2);
    point.values = values.data;
    arrays.tangents = tangents.data;
    point.dweights = dweights.data;
    point.dinputs = dinputs.data;
    arrays.hweights = hweights.data;
    arrays.hinputs = hinputs.data;
    call_second(entry, arrays, threads);
}

xla::Error* error(const xla::Api* api, const char* sentence, xla::ErrorCode code) {
    xla::ErrorArguments arguments{sizeof(xla::ErrorArguments), nullptr, sentence, code};
    return api->create_error(&arguments);
}

/// XLA asks for the version before the first call.
void answer_metadata(xla::Extension* extension) {
    xla::Metadata& metadata = *reinterpret_cast<xla::MetadataExtension*>(extension)->metadata;
    metadata.version = {sizeof(xla::Version), nullptr, xla::api_major, xla::api_minor};
    metadata.traits = 0;
}

void check_frame(const xla::Frame& frame) {
    require(frame.api->version.major_version == xla::api_major && frame.struct_size >= sizeof(xla::Frame) &&
                frame.arguments.struct_size == sizeof(xla::Buffers) && frame.results.struct_size == sizeof(xla::Buffers) &&
                frame.attributes.struct_size == sizeof(xla::Attributes),
            "this version of ketgrad speaks version 0 of XLA's foreign function interface, and the installed jaxlib "
            "another one. Install a newer ketgrad, or an older jax.");
    require(frame.stage == xla::Stage::execute, "a ketgrad call has one stage, execute");
}

using Run = void (*)(const xla::Frame&, const Entry&, int);

xla::Error* handle(xla::Frame* frame, Run run) {
    xla::Extension* extension = frame->extension;
    if (extension && extension->kind == xla::ExtensionKind::metadata) {
        answer_metadata(extension);
        return nullptr;
    }
    try {
        check_frame(*frame);
        const Running running(attribute(*frame, "program"));
        if (!running.entry)
            throw Refusal("this compiled code calls a circuit that this process does not know. Make the same function "
                          "with kg.jax.function, and keep it, before the code runs.", xla::ErrorCode::not_found);
        run(*frame, *running.entry, int(attribute(*frame, "threads")));
        return nullptr;
    } catch (const Refusal& refusal) {
        return error(frame->api, refusal.what(), refusal.code);
    } catch (const std::bad_alloc&) {
        return error(frame->api, "there is not enough memory for the states of this batch. Use smaller batches.",
                     xla::ErrorCode::resource_exhausted);
    } catch (const std::exception& problem) {
        return error(frame->api, problem.what(), xla::ErrorCode::internal);
    }
}

template <Run run>
xla::Error* handler(xla::Frame* frame) {
    return handle(frame, run);
}

nb::object capsule(xla::Error* (*function)(xla::Frame*)) {
    return nb::steal(PyCapsule_New(reinterpret_cast<void*>(function), nullptr, nullptr));
}

nb::dict handlers() {
    nb::dict all;
    all["ketgrad_value_f64"] = capsule(handler<run_value<double>>);
    all["ketgrad_value_f32"] = capsule(handler<run_value<float>>);
    all["ketgrad_vjp_f64"] = capsule(handler<run_vjp<double>>);
    all["ketgrad_vjp_f32"] = capsule(handler<run_vjp<float>>);
    all["ketgrad_jvp_f64"] = capsule(handler<run_jvp<double>>);
    all["ketgrad_jvp_f32"] = capsule(handler<run_jvp<float>>);
    all["ketgrad_hvp_f64"] = capsule(handler<run_hvp<double>>);
    all["ketgrad_hvp_f32"] = capsule(handler<run_hvp<float>>);
    return all;
}

}  // namespace

void bind_jax(nb::module_& m) {
    using namespace nb::literals;
    m.def("xla_handlers", handlers, "The handlers for XLA's foreign function interface, by the name of the call.");
    m.def("xla_keep", keep_program, "name"_a, "program"_a, "Let compiled JAX code call the program under this name.");
    m.def("xla_keep_second", keep_second, "name"_a, "program"_a, "The same for derivatives along a direction.");
    m.def("xla_drop", drop_program, "name"_a, "Undo one `xla_keep`; the program goes when nobody needs it.");
    m.def("xla_kept", kept_programs, "The names of the programs that compiled JAX code may call.");
}

}  // namespace ketgrad
