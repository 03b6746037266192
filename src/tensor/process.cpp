/* What concerns the whole process: devices, threads, seeds, and how failures are worded. */
#include <ATen/Parallel.h>
#include <ATen/cpu/Utils.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/version.h>

#include "inside.hpp"

static bool says_no_memory(const char *text)
{
    /* The last is what cuDNN and cuBLAS say when nothing is left for their workspaces. */
    static const char *const words[] = {"out of memory", "can't allocate", "could not allocate", "ALLOC_FAILED"};
    for (const char *w : words)
        if (strstr(text, w)) return true;
    return false;
}

/** Of a GPU that is gone, broken or taken from us, and no fault of what ran there. An unspecified failure may be
 * either: whoever asks tries it elsewhere, but not for ever. */
static bool says_no_device(const char *text)
{
    static const char *const words[] = {"no CUDA-capable device",
                                        "busy or unavailable",
                                        "uncorrectable ECC",
                                        "uncorrectable NVLink",
                                        "unspecified launch failure",
                                        "hardware stack error",
                                        "unknown error",
                                        "OS call failed",
                                        "system not yet initialized",
                                        "CUDA driver initialization failed"};
    if (!strstr(text, "CUDA")) return false;
    for (const char *w : words)
        if (strstr(text, w)) return true;
    return false;
}

enum status_code tensor_failure(const char *text)
{
    return says_no_memory(text) ? STATUS_OOM : says_no_device(text) ? STATUS_DEVICE : STATUS_TORCH;
}

/** First line only: the rest of libtorch's texts is a list of frames or registered kernels. */
static struct status worded(const char *what, const char *text, bool no_memory)
{
    int len = static_cast<int>(strcspn(text, "\n"));
    return fail(no_memory ? STATUS_OOM : tensor_failure(text), "%s: %.*s", what, len, text);
}

struct status tensor_caught(const char *what) noexcept
{
    try {
        throw;
    } catch (const c10::OutOfMemoryError &e) {
        return worded(what, e.what_without_backtrace(), true);
    } catch (const c10::Error &e) {
        return worded(what, e.what_without_backtrace(), false);
    } catch (const std::bad_alloc &) {
        return fail(STATUS_OOM, "%s: the host has no memory left", what);
    } catch (const std::exception &e) {
        return worded(what, e.what(), false);
    } catch (...) {
        return fail(STATUS_TORCH, "%s: libtorch threw something that is no std::exception", what);
    }
}

at::Device device_of(struct tensor_device d)
{
    return d.cuda ? at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(d.index)) : at::Device(at::kCPU);
}

bool tensor_has_cuda(void)
{
    try {
        return at::hasCUDA();
    } catch (...) {
        return false;
    }
}

int tensor_cuda_count(void)
{
    try {
        return at::hasCUDA() ? static_cast<int>(at::detail::getCUDAHooks().deviceCount()) : 0;
    } catch (...) {
        return 0; /* a CUDA build without a driver */
    }
}

struct status tensor_pick_device(struct tensor_device *out, const char *name)
{
    *out = tensor_cpu();
    if (!strcmp(name, "cpu")) return ok();
    int n = tensor_cuda_count();
    if (!strcmp(name, "auto")) {
        out->cuda = n > 0;
        return ok();
    }
    int64_t index = 0;
    bool named = !strcmp(name, "cuda") || (!strncmp(name, "cuda:", 5) && str_to_i64(name + 5, &index));
    if (!named) return fail(STATUS_ARG, "device: got \"%s\", expected auto, cpu, cuda or cuda:N", name);
    if (!n && index == 0 && tensor_has_cuda())
        return fail(STATUS_DEVICE, "device: got \"%s\", but libtorch sees no GPU; `nvidia-smi` may say why", name);
    if (index < 0 || index >= n)
        return fail(STATUS_ARG, "device: got \"%s\", but libtorch sees %d GPUs%s", name, n,
                    tensor_has_cuda() ? "" : " (it was built without CUDA)");
    out->cuda = true;
    out->index = static_cast<int>(index);
    return ok();
}

void tensor_device_name(struct str *out, struct tensor_device d)
{
    if (d.cuda)
        str_addf(out, "cuda:%d", d.index);
    else
        str_add(out, "cpu");
}

const char *tensor_torch_version(void)
{
    return TORCH_VERSION;
}

static bool cpu_can(const char *feature)
{
    try {
        auto all = at::cpu::get_cpu_capabilities();
        auto found = all.find(feature);
        return found != all.end() && found->second.isBool() && found->second.toBool();
    } catch (...) {
        return false;
    }
}

bool tensor_bf16_is_fast(struct tensor_device d)
{
    if (d.cuda) {
        try {
            return at::detail::getCUDAHooks().supportsBFloat16ConvolutionWithCuDNNv8(); /* 8.0 and later */
        } catch (...) {
            return false;
        }
    }
    return cpu_can("avx512_bf16") || cpu_can("amx_bf16");
}

/* Names as a user writes them; the order is enum tensor_dtype's. */
static const struct {
    const char *name;
    size_t bytes;
    at::ScalarType type;
} dtypes[TENSOR_N_DTYPES] = {
    {"fp32", 4, at::kFloat}, {"fp64", 8, at::kDouble}, {"bf16", 2, at::kBFloat16},
    {"fp16", 2, at::kHalf},  {"int64", 8, at::kLong},  {"uint8", 1, at::kByte},
};

const char *tensor_dtype_name(enum tensor_dtype d)
{
    return dtypes[d].name;
}

size_t tensor_dtype_size(enum tensor_dtype d)
{
    return dtypes[d].bytes;
}

at::ScalarType scalar_type(enum tensor_dtype d)
{
    return dtypes[d].type;
}

enum tensor_dtype tensor_dtype_of(const struct tensor *t)
{
    int d = 0;
    while (d < TENSOR_N_DTYPES && dtypes[d].type != t->t.scalar_type()) d++;
    CHECK(d < TENSOR_N_DTYPES, "a dtype that this room does not make");
    return static_cast<enum tensor_dtype>(d);
}

struct status tensor_pick_precision(enum tensor_dtype *out, const char *name, struct tensor_device d)
{
    *out = TENSOR_F32;
    if (!strcmp(name, "auto")) {
        if (tensor_bf16_is_fast(d))
            *out = TENSOR_BF16;
        else if (d.cuda)
            *out = TENSOR_F16;
        return ok();
    }
    for (int i = TENSOR_F32; i <= TENSOR_F16; i++) {
        if (strcmp(name, dtypes[i].name)) continue;
        *out = static_cast<enum tensor_dtype>(i);
        return ok();
    }
    return fail(STATUS_ARG, "precision: got \"%s\", expected auto, fp32, bf16, fp16 or fp64", name);
}

/* The setting of an operation wins over that of all, and an older switch may win over both: each is set. */
static const at::Float32Op fp32_ops[] = {at::Float32Op::ALL, at::Float32Op::CONV, at::Float32Op::RNN,
                                         at::Float32Op::MATMUL};

/** On a GPU fp32 is fp32, not the 10 bits of TF32: evaluation and parity mean what they say. */
static void want_ieee(void)
{
    at::Context &c = at::globalContext();
    c.setAllowTF32CuDNN(false);
    c.setAllowTF32CuBLAS(false);
    for (at::Float32Op op : fp32_ops) c.setFloat32Precision(at::Float32Backend::CUDA, op, at::Float32Precision::IEEE);
}

bool tensor_fp32_is_ieee(void)
{
    at::Context &c = at::globalContext();
    for (at::Float32Op op : fp32_ops)
        if (c.float32Precision(at::Float32Backend::CUDA, op) != at::Float32Precision::IEEE) return false;
    return !c.allowTF32CuDNN() && !c.allowTF32CuBLAS();
}

void tensor_start(int threads)
{
    static const int all = at::get_num_threads(); /* of a process that nobody has told a number */
    tensor_keep_blocks();
    struct status s = guard("threads", [&] {
        at::set_num_threads(threads > 0 ? threads : all);
        at::globalContext().setBenchmarkCuDNN(false);
        at::globalContext().setDeterministicCuDNN(true);
        want_ieee();
    });
    if (s.code != STATUS_OK) log_warn("%s", s.msg);
}

int tensor_threads(void)
{
    return at::get_num_threads();
}

struct status tensor_seed(uint64_t seed)
{
    return guard("seed", [&] { at::manual_seed(seed); });
}

/* The GPU's allocator, NULL where this process has not used one. */
static c10::DeviceAllocator *gpu_allocator()
{
    if (!at::hasCUDA()) return nullptr;
    auto *a = at::getDeviceAllocator(at::kCUDA);
    return a && a->initialized() ? a : nullptr;
}

void tensor_rest(void)
{
    struct status s = guard("memory at rest", [&] {
        tensor_drop_blocks();
        if (auto *a = gpu_allocator()) a->emptyCache();
    });
    if (s.code != STATUS_OK) log_warn("%s", s.msg);
}

void tensor_forget_peak(void)
{
    struct status s = guard("peak of memory", [&] {
        tensor_cpu_forget_peak();
        if (auto *a = gpu_allocator()) a->resetPeakStats(0);
    });
    if (s.code != STATUS_OK) log_warn("%s", s.msg);
}

int64_t tensor_bytes_peak(struct tensor_device d)
{
    if (!d.cuda) return tensor_cpu_bytes_peak();
    try {
        auto *a = at::getDeviceAllocator(at::kCUDA);
        auto stats = a->getDeviceStats(static_cast<c10::DeviceIndex>(d.index));
        return stats.allocated_bytes[0].peak;
    } catch (...) {
        return 0;
    }
}

int64_t tensor_bytes_held(struct tensor_device d)
{
    if (!d.cuda) return 0;
    try {
        return at::getDeviceAllocator(at::kCUDA)
            ->getDeviceStats(static_cast<c10::DeviceIndex>(d.index))
            .reserved_bytes[0]
            .peak;
    } catch (...) {
        return 0;
    }
}

struct status tensor_synchronize(struct tensor_device d)
{
    if (!d.cuda) return ok(); /* CPU ops return when they are done */
    return guard("synchronize",
                 [&] { at::detail::getCUDAHooks().deviceSynchronize(static_cast<c10::DeviceIndex>(d.index)); });
}
