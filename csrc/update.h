// One update of a model's weights by an optimiser's rule: one pass over memory, where an operation at a time makes
// eight.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mlb {

struct Pace {
  double rate;  // not rounded yet, as torch divides it so
  float momentum, weight_decay;
  std::int64_t steps;  // updates so far, this one among them
};

// Changes `count` values by their gradients, to which weight_decay * values is added first. `moments` is what the rule
// remembers of each value, one array behind the other, zeros before the first update. No array overlaps another.
using Rule = void (*)(float* values, const float* gradients, float* moments, std::size_t count, const Pace& pace);

// Operations and roundings are those of torch.optim's, but for the root, which is the nearest one here. Results differ
// in the last places where the processor cannot make a product and a sum in one rounding, as torch's do.
struct Rules {
  Rule rmsprop;  // moments: the mean square, and the velocity where there is momentum
  Rule adam;     // moments: the mean and the mean square
  Rule sgd;      // moments: the velocity where there is momentum
};

// The rules for the running processor.
const Rules& update_rules();

// The rules for processors without AVX2 and FMA, and elsewhere; tests hold the others to them.
const Rules& portable_update_rules();

}  // namespace mlb
