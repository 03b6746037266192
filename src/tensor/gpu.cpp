/*
 * What only a GPU has: a stream of its own for the process, events, host memory that it copies to and from without
 * waiting, and work that is recorded once and replayed with a single call. All of it through libtorch's interface for
 * any device; recording has one since 2.13, before that the CUDA class and the headers of the CUDA runtime are needed.
 */
#include <ATen/core/CachingHostAllocator.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "inside.hpp"

#if __has_include(<ATen/accelerator/Graph.h>)
#define TENSOR_GRAPHS
#include <ATen/accelerator/Graph.h>
using recorder = at::accelerator::Graph;
static const auto beside_threads = at::GraphCaptureMode::ThreadLocal;
#elif defined(CUDA_RUNTIME)
#define TENSOR_GRAPHS
#include <ATen/cuda/CUDAGraph.h>
using recorder = at::cuda::CUDAGraph;
static const auto beside_threads = cudaStreamCaptureModeThreadLocal;
#endif

using c10::impl::VirtualGuardImpl;

struct status tensor_own_stream(struct tensor_device d)
{
    if (!d.cuda) return ok();
    return guard("stream", [&] {
        VirtualGuardImpl gpu(at::kCUDA);
        at::Device device = device_of(d);
        gpu.setDevice(device);
        if (gpu.getStream(device) != gpu.getDefaultStream(device)) return;
        gpu.synchronizeDevice(device.index());
        gpu.exchangeStream(gpu.getStreamFromGlobalPool(device));
    });
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

struct tensor_event {
    c10::Event event{at::kCUDA};
};

struct status tensor_event_record(struct tensor_event **out, struct tensor_device d)
{
    *out = nullptr;
    if (!d.cuda) return ok();
    return guard("event", [&] {
        auto e = std::make_unique<tensor_event>();
        e->event.record(VirtualGuardImpl(at::kCUDA).getStream(device_of(d)));
        *out = e.release();
    });
}

struct status tensor_event_wait(struct tensor_event **e)
{
    struct tensor_event *event = *e;
    *e = nullptr;
    if (!event) return ok();
    struct status s = guard("wait for the device", [&] { event->event.synchronize(); });
    delete event;
    return s;
}

/* ---- host memory ------------------------------------------------------------------------------------------------- */

struct status tensor_pinned(struct tensor **out, int64_t bytes)
{
    return made(out, "memory for copies",
                [&] { return at::empty({bytes}, at::TensorOptions(at::kByte).pinned_memory(true)); });
}

void *tensor_host_bytes(const struct tensor *t)
{
    return t->t.data_ptr();
}

struct status tensor_send_in(struct tensor *t, const float *host)
{
    return guard("copy to the device", [&] {
        at::NoGradGuard off;
        t->t.copy_(at::from_blob(const_cast<float *>(host), t->t.sizes(), at::kFloat), true);
    });
}

struct status tensor_fetch(struct tensor **out, const struct tensor *t)
{
    return made(out, "copy from the device", [&] {
        at::Tensor host = at::empty(t->t.sizes(), t->t.options().device(at::kCPU).pinned_memory(t->t.is_cuda()));
        return host.copy_(t->t.detach(), true);
    });
}

/* ---- recorded work ----------------------------------------------------------------------------------------------- */

#ifdef TENSOR_GRAPHS

struct tensor_graph {
    recorder graph;
};

bool tensor_has_graphs(void)
{
    return true;
}

struct status tensor_graph_begin(struct tensor_graph **out, struct tensor_device d)
{
    *out = nullptr;
    return guard("record", [&] {
        VirtualGuardImpl(at::kCUDA).synchronizeDevice(device_of(d).index());
        at::getDeviceAllocator(at::kCUDA)->emptyCache(); /* what the steps before kept; the graph has its own memory */
        auto g = std::make_unique<tensor_graph>();
        g->graph.capture_begin({0, 0}, beside_threads); /* which may copy meanwhile */
        *out = g.release();
    });
}

struct status tensor_graph_end(struct tensor_graph *g)
{
    return guard("record", [&] { g->graph.capture_end(); });
}

struct status tensor_graph_replay(struct tensor_graph *g)
{
    return guard("replay", [&] { g->graph.replay(); });
}

void tensor_graph_free(struct tensor_graph *g)
{
    try {
        delete g;
    } catch (...) {
        log_warn("a recorded step could not be freed");
    }
}

#else

bool tensor_has_graphs(void)
{
    return false;
}

struct status tensor_graph_begin(struct tensor_graph **out, struct tensor_device d)
{
    (void)d;
    *out = nullptr;
    return fail(STATUS_TORCH, "record: this build has no CUDA graphs");
}

struct status tensor_graph_end(struct tensor_graph *g)
{
    (void)g;
    return ok();
}

struct status tensor_graph_replay(struct tensor_graph *g)
{
    (void)g;
    return ok();
}

void tensor_graph_free(struct tensor_graph *g)
{
    (void)g;
}

#endif
