/* Optimisers, clipping, averaging: one fused kernel over a list of parameters that share rate and age. */
#include "inside.hpp"

#include <map>

using at::Tensor;
using tensors = std::vector<Tensor>;

struct tensor_optim {
    struct tensor_optim_options o;
    tensors params;
    int n_slots;
    std::vector<struct tensor *> slots[2];
    std::vector<int64_t> updates;
};

struct status tensor_optim_new(struct tensor_optim **out, const struct tensor_optim_options *o,
                               struct tensor *const *params, int n)
{
    *out = nullptr;
    auto *m = new tensor_optim;
    m->o = *o;
    m->n_slots = o->kind == TENSOR_SGD ? o->momentum != 0 : 2;
    struct status s = guard("optimiser", [&] {
        m->params = list_of(params, n);
        m->updates.assign(static_cast<size_t>(n), 0);
        for (int slot = 0; slot < m->n_slots; slot++)
            for (const Tensor &p : m->params) m->slots[slot].push_back(wrap(at::zeros_like(p).detach()));
    });
    if (s.code == STATUS_OK)
        *out = m;
    else
        tensor_optim_free(m);
    return s;
}

void tensor_optim_free(struct tensor_optim *o)
{
    if (!o) return;
    for (auto &slot : o->slots)
        for (struct tensor *t : slot) tensor_free(t);
    delete o;
}

struct tensor *tensor_optim_slot(const struct tensor_optim *o, int i, int slot)
{
    return slot < o->n_slots ? o->slots[slot][static_cast<size_t>(i)] : nullptr;
}

int64_t *tensor_optim_updates(const struct tensor_optim *o)
{
    return const_cast<int64_t *>(o->updates.data());
}

/* Parameters that one kernel call may take together. */
struct bunch {
    tensors params, grads, slots[2];
};

static void update(const struct tensor_optim_options &o, bunch &b, double lr, int64_t age)
{
    if (o.kind == TENSOR_SGD) {
        at::_fused_sgd_(b.params, b.grads, b.slots[0], o.weight_decay, o.momentum, lr, 0, false, false, age == 0);
        return;
    }
    /* The kernel reads the count after this update, one tensor a parameter; nothing writes it. */
    Tensor count = at::full({}, static_cast<double>(age + 1), b.params[0].options().dtype(at::kFloat));
    tensors counts(b.params.size(), count), none;
    auto step = o.kind == TENSOR_ADAMW
                    ? static_cast<decltype(&at::_ops::_fused_adamw_::call)>(at::_ops::_fused_adamw_::call)
                    : at::_ops::_fused_adam_::call;
    step(b.params, b.grads, b.slots[0], b.slots[1], none, counts, lr, o.beta1, o.beta2, o.weight_decay, o.eps, false,
         false, {}, {});
}

struct status tensor_optim_step(struct tensor_optim *o, const double *lr)
{
    return guard("optimiser step", [&] {
        at::NoGradGuard off;
        std::map<std::pair<double, int64_t>, bunch> bunches;
        for (size_t i = 0; i < o->params.size(); i++) {
            const Tensor &p = o->params[i], &g = p.grad();
            if (!g.defined()) continue;
            bunch &b = bunches[{lr[i], o->updates[i]++}];
            b.params.push_back(p);
            b.grads.push_back(g.strides() == p.strides() ? g : at::empty_like(p).copy_(g));
            for (int slot = 0; slot < o->n_slots; slot++) b.slots[slot].push_back(o->slots[slot][i]->t);
        }
        for (auto &[key, b] : bunches) update(o->o, b, key.first, key.second);
    });
}

static tensors grads_of(struct tensor *const *params, int n)
{
    tensors grads;
    for (int i = 0; i < n; i++)
        if (params[i]->t.grad().defined()) grads.push_back(params[i]->t.grad());
    return grads;
}

struct status tensor_unscale_grads(bool *finite, struct tensor *const *params, int n, double factor)
{
    *finite = true;
    return guard("unscale gradients", [&] {
        at::NoGradGuard off;
        tensors grads = grads_of(params, n);
        if (grads.empty()) return;
        auto scalar = grads[0].options().dtype(at::kFloat);
        Tensor bad = at::zeros({1}, scalar), by = at::full({1}, factor, scalar);
        at::_amp_foreach_non_finite_check_and_unscale_(grads, bad, by);
        *finite = bad.item().toDouble() == 0;
    });
}

struct status tensor_clip_grads(struct tensor *const *params, int n, double most)
{
    return guard("clip gradients", [&] {
        at::NoGradGuard off;
        tensors grads = grads_of(params, n);
        if (grads.empty()) return;
        Tensor norm = at::linalg_vector_norm(at::stack(at::_foreach_norm(grads, 2))).to(at::kDouble);
        /* Of a norm that is no number nothing is scaled, as of one that is small enough. */
        Tensor factor = at::where(norm > most, most / (norm + 1e-6), at::ones_like(norm));
        at::_foreach_mul_(grads, factor.to(grads[0].scalar_type()));
    });
}

struct status tensor_lerp_in(struct tensor *const *dst, struct tensor *const *src, int n, double weight)
{
    return guard("average weights", [&] {
        at::NoGradGuard off;
        tensors to = list_of(dst, n), from = list_of(src, n);
        for (Tensor &t : to) t = t.detach();
        for (Tensor &t : from) t = t.detach();
        if (n) at::_foreach_lerp_(to, from, weight);
    });
}
