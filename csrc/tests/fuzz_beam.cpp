// Calls in any order with arguments of any size and value: `fuzz_beam 100000 7` takes so many, from that seed. What is
// refused is refused by an exception of the standard library; under sanitizers nothing else may be wrong.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "beam.h"
#include "search_options.h"

namespace {

using Random = std::mt19937_64;

std::size_t below(Random& random, std::size_t most) { return random() % most; }

float odd(Random& random) {
  constexpr std::array kOdd = {0.0F,
                               -0.0F,
                               1e-45F,
                               1e30F,
                               -1e30F,
                               std::numeric_limits<float>::max(),
                               std::numeric_limits<float>::infinity(),
                               -std::numeric_limits<float>::infinity(),
                               std::numeric_limits<float>::quiet_NaN()};
  return kOdd[below(random, std::size(kOdd))];
}

std::vector<float> floats(Random& random, std::size_t count) {
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  if (count > 0 && below(random, 8) == 0) values[below(random, count)] = odd(random);
  return values;
}

std::int32_t number(Random& random) {
  constexpr std::array<std::int32_t, 4> kOdd = {0, -1, std::numeric_limits<std::int32_t>::max(),
                                                std::numeric_limits<std::int32_t>::min()};
  return below(random, 20) == 0 ? kOdd[below(random, std::size(kOdd))]
                                : static_cast<std::int32_t>(1 + below(random, 5));
}

mlb::SearchOptions options(Random& random) {
  mlb::SearchOptions chosen = mlb_test::short_search();
  chosen.search = below(random, 4) == 0 ? mlb::Search::exact : mlb::Search::beam;
  chosen.beam_width = number(random);
  chosen.end_consumes_slot = below(random, 2) == 0;
  chosen.mask_repeats = below(random, 2) == 0;
  chosen.min_length = number(random) / 2;
  // Longer ones are refused by the memory that their answers would take, which no test machine has either.
  chosen.max_length = static_cast<std::int32_t>(below(random, 6));
  chosen.stop = below(random, 2) == 0 ? mlb::Stop::best : mlb::Stop::all;
  chosen.class_score = static_cast<mlb::ClassScore>(below(random, 3));
  chosen.node_limit = number(random);
  return chosen;
}

void once(Random& random) {
  const std::size_t labels = below(random, 30) == 0 ? 600 : 1 + below(random, 6);
  const std::size_t depth = below(random, 5), state = below(random, 40) == 0 ? random() : below(random, 4);
  const bool fits = below(random, 10) > 0;
  const auto activation = static_cast<mlb::Activation>(below(random, 3));
  mlb::ModelTree tree(mlb::Scorer(floats(random, (labels + 1) * depth + (fits ? 0 : below(random, 3))),
                                  floats(random, labels + 1), activation),
                      state);
  mlb::SearchOptions chosen = options(random);
  // What a beam of any width may hold is for its user to bound: labels to the power of the length.
  if (labels > 6) chosen.beam_width = std::min(chosen.beam_width, 3);
  mlb::BeamSearch search(tree, chosen, below(random, 3) == 0, static_cast<int>(below(random, 4)));
  for (std::size_t call = below(random, 30); call > 0; --call) {
    try {
      const std::size_t images = below(random, 5);
      switch (below(random, 8)) {
        case 0:
          search.begin(floats(random, images * depth), floats(random, (below(random, 2) == 0 ? 1 : images) * state),
                       below(random, 2) == 0, below(random, 2) == 0);
          break;
        case 1:
          search.abandon();
          break;
        case 2: {
          const std::vector<std::int32_t> parents{-1, 0, number(random)};
          const std::vector<std::int32_t> names{tree.scorer.start(), 0, number(random)};
          tree.add({.parents = parents,
                    .labels = names,
                    .terms = floats(random, 3 * depth),
                    .states = floats(random, 3 * state)});
          break;
        }
        default:
          if (search.pending() == 0) {
            search.advance();
          } else {
            std::vector<std::int64_t> wanted(search.pending());
            std::vector<float> states(search.pending() * state);
            search.write_pending(wanted, states);
            search.provide(floats(random, search.pending() * depth), floats(random, search.pending() * state));
          }
      }
    } catch (const std::exception&) {
      continue;
    }
  }
}

}  // namespace

int main(int count, char** arguments) {
  const long calls = count > 1 ? std::strtol(arguments[1], nullptr, 10) : 300;
  const long seed = count > 2 ? std::strtol(arguments[2], nullptr, 10) : 0;
  long refused = 0;
  for (long call = 0; call < calls; ++call) {
    Random random(static_cast<std::uint64_t>(seed) * 1'000'003U + static_cast<std::uint64_t>(call));
    try {
      once(random);
    } catch (const std::exception&) {
      ++refused;
    }
  }
  std::cout << calls << " inputs, " << refused << " refused when a model or search was made\n";
  return 0;
}
