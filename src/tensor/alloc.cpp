/*
 * The CPU allocator: keeps freed blocks for the next request of the same size class. A training step asks for the same
 * few hundred blocks each time, many of tens of megabytes; giving those back to the system costs a page fault for
 * every 4 KiB at the next step. Large blocks are aligned to huge pages, small ones carved from such, and all become
 * huge pages when the first step is done (tensor_settle): a huge page comes zeroed and, in a virtual machine, from the
 * host, which takes longer than the step itself, while small pages that somebody just gave back are at hand.
 */
#include <sys/mman.h>
#include <unistd.h>

#include <map>
#include <mutex>
#include <vector>

#include <c10/core/CPUAllocator.h>

#include "inside.hpp"

namespace
{

constexpr size_t header_bytes = 64; /* in front of the data: keeps its alignment of 64 */
constexpr size_t huge_page = size_t{1} << 21;
constexpr size_t least_kept = size_t{1} << 16;
constexpr int collapse_now = 25; /* MADV_COLLAPSE, Linux 6.1; a kernel without it gets round to it by itself */
constexpr size_t slab_bytes = size_t{16} << 20;

struct header {
    size_t bytes; /* of the whole block */
    bool carved;  /* from a slab: never given back alone */
};

/** Eight classes an octave, so at most 1/8 is wasted; small blocks are left to malloc as they are. */
size_t class_of(size_t n)
{
    if (n < least_kept) return n;
    size_t step = std::bit_floor(n) / 8;
    return (n + step - 1) / step * step;
}

size_t physical_bytes()
{
    static const size_t bytes =
        static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
    return bytes;
}

struct keeper final : c10::Allocator {
    std::mutex lock;
    std::map<size_t, std::vector<header *>> kept;
    std::vector<char *> slabs; /* the last one is being carved */
    size_t slab_left = 0;
    bool settled = false;
    size_t bytes_kept = 0, bytes_alive = 0, bytes_peak = 0;

    static void *data_of(header *h)
    {
        return reinterpret_cast<char *>(h) + header_bytes;
    }
    static header *header_of(void *p)
    {
        return reinterpret_cast<header *>(static_cast<char *>(p) - header_bytes);
    }

    /** A kept block of this size, or one up to half larger: memory that was never touched is the dearest. */
    header *take(size_t bytes)
    {
        const std::lock_guard<std::mutex> held(lock);
        for (auto c = kept.lower_bound(bytes); c != kept.end() && c->first <= bytes + bytes / 2; ++c) {
            if (c->second.empty()) continue;
            header *h = c->second.back();
            c->second.pop_back();
            bytes_kept -= droppable(h);
            count_alive(h->bytes);
            return h;
        }
        count_alive(bytes);
        return nullptr;
    }

    void count_alive(size_t bytes)
    {
        bytes_alive += bytes;
        bytes_peak = std::max(bytes_peak, bytes_alive);
    }

    /* Carved blocks cannot be given back, so they are no part of the sum by which that is decided. */
    static size_t droppable(const header *h)
    {
        return h->carved ? 0 : h->bytes;
    }

    void drop_kept()
    {
        for (auto &c : kept)
            std::erase_if(c.second, [](header *h) {
                bool whole = !h->carved;
                if (whole) free(h);
                return whole;
            });
        bytes_kept = 0;
    }

    void put(header *h)
    {
        const std::lock_guard<std::mutex> held(lock);
        bytes_alive -= h->bytes;
        if (h->bytes < least_kept) {
            free(h);
            return;
        }
        /* Another size of work has begun, and most of what is kept would not be asked for again. */
        if (bytes_alive + bytes_kept + droppable(h) > 2 * bytes_peak) drop_kept();
        kept[h->bytes].push_back(h);
        bytes_kept += droppable(h);
    }

    c10::DataPtr allocate(size_t n) override
    {
        if (n == 0) return {nullptr, nullptr, &release, at::Device(at::kCPU)};
        size_t bytes = class_of(n + header_bytes);
        header *h = take(bytes);
        if (!h) h = fresh(bytes);
        void *p = data_of(h);
        return {p, p, &release, at::Device(at::kCPU)};
    }

    void *aligned(size_t bytes)
    {
        void *p = nullptr;
        size_t align = bytes >= huge_page ? huge_page : size_t{64};
        /* More than the machine has would be granted now and kill the process when it is written. */
        if (bytes > physical_bytes() || posix_memalign(&p, align, bytes)) return nullptr;
        if (settled && bytes >= huge_page) madvise(p, bytes, MADV_HUGEPAGE);
        return p;
    }

    /* The rest of a slab that is too small goes unused: less than a block in eight. */
    void *carve(size_t bytes)
    {
        const std::lock_guard<std::mutex> held(lock);
        if (slab_left < bytes) {
            auto *slab = static_cast<char *>(aligned(slab_bytes));
            if (!slab) return nullptr;
            slabs.push_back(slab);
            slab_left = slab_bytes;
        }
        slab_left -= bytes;
        return slabs.back() + slab_left;
    }

    /* What is alive now, weights and the like, stays as it is: it is small beside what a step takes and gives back. */
    void settle()
    {
        const std::lock_guard<std::mutex> held(lock);
        if (settled) return;
        settled = true;
        for (char *slab : slabs) make_huge(slab, slab_bytes);
        for (auto &c : kept)
            for (header *h : c.second)
                if (!h->carved && h->bytes >= huge_page) make_huge(h, h->bytes);
    }

    static void make_huge(void *p, size_t bytes)
    {
        madvise(p, bytes, MADV_HUGEPAGE);
        madvise(p, bytes, collapse_now);
    }

    header *fresh(size_t bytes)
    {
        bool carved = bytes >= least_kept && bytes < huge_page;
        void *p = carved ? carve(bytes) : aligned(bytes);
        if (!p) {
            const std::lock_guard<std::mutex> held(lock);
            bytes_alive -= bytes;
            drop_kept();
            TORCH_CHECK_WITH(OutOfMemoryError, false, "can't allocate ", bytes, " bytes on the host");
        }
        auto *h = static_cast<header *>(p);
        *h = {bytes, carved};
        return h;
    }

    static void release(void *p);
    c10::DeleterFnPtr raw_deleter() const override
    {
        return &release;
    }
    void copy_data(void *to, const void *from, size_t n) const override
    {
        default_copy_data(to, from, n);
    }
};

/* Never destroyed: tensors with static life may be freed after main. */
keeper &the_keeper()
{
    static keeper *k = new keeper;
    return *k;
}

void keeper::release(void *p)
{
    if (p) the_keeper().put(header_of(p));
}

} // namespace

void tensor_settle(void)
{
    the_keeper().settle();
}

void tensor_keep_blocks()
{
    c10::SetCPUAllocator(&the_keeper());
}

void tensor_drop_blocks()
{
    keeper &k = the_keeper();
    const std::lock_guard<std::mutex> held(k.lock);
    k.drop_kept();
}

void tensor_cpu_forget_peak()
{
    keeper &k = the_keeper();
    const std::lock_guard<std::mutex> held(k.lock);
    k.bytes_peak = k.bytes_alive;
}

int64_t tensor_cpu_bytes_peak()
{
    return static_cast<int64_t>(the_keeper().bytes_peak);
}
