// Calls in any order with arguments of any size and value, as an input's bytes choose them: those of libFuzzer where
// this is built with MLB_LIBFUZZER, else random ones: `fuzz_beam 100000 7` takes so many inputs, from that seed. What
// is refused is refused by an exception of the standard library; under sanitizers nothing else may be wrong.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <limits>
#include <memory>
#include <random>
#include <span>
#include <vector>

#include "beam.h"
#include "search_options.h"

namespace {

// What an input chooses, byte after byte; once they are used up every choice is the first.
class Choices {
 public:
  explicit Choices(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  std::uint64_t any(std::size_t bytes) {
    std::uint64_t value = 0;
    for (; bytes > 0 && place_ < bytes_.size(); --bytes) value = value << 8 | bytes_[place_++];
    return value;
  }

 private:
  std::span<const std::uint8_t> bytes_;
  std::size_t place_ = 0;
};

std::size_t below(Choices& choices, std::size_t most) { return choices.any(1) % most; }

float odd(Choices& choices) {
  constexpr std::array kOdd = {0.0F,
                               -0.0F,
                               1e-45F,
                               1e30F,
                               -1e30F,
                               std::numeric_limits<float>::max(),
                               std::numeric_limits<float>::infinity(),
                               -std::numeric_limits<float>::infinity(),
                               std::numeric_limits<float>::quiet_NaN()};
  return kOdd[below(choices, std::size(kOdd))];
}

// As many as asked for, up to what fills fast: of states without bound fewer come, which is refused.
std::vector<float> floats(Choices& choices, std::size_t count) {
  constexpr std::size_t kMost = 1 << 18;
  std::vector<float> values(std::min(count, kMost));
  for (float& value : values) value = static_cast<float>(static_cast<std::int16_t>(choices.any(2))) / 8192.0F;
  if (!values.empty() && below(choices, 8) == 0) values[below(choices, values.size())] = odd(choices);
  return values;
}

std::int32_t number(Choices& choices) {
  constexpr std::array<std::int32_t, 4> kOdd = {0, -1, std::numeric_limits<std::int32_t>::max(),
                                                std::numeric_limits<std::int32_t>::min()};
  return below(choices, 20) == 0 ? kOdd[below(choices, std::size(kOdd))]
                                 : static_cast<std::int32_t>(1 + below(choices, 5));
}

mlb::SearchOptions options(Choices& choices) {
  mlb::SearchOptions chosen = mlb_test::short_search();
  chosen.search = below(choices, 4) == 0 ? mlb::Search::exact : mlb::Search::beam;
  chosen.beam_width = number(choices);
  chosen.end_consumes_slot = below(choices, 2) == 0;
  chosen.mask_repeats = below(choices, 2) == 0;
  chosen.min_length = number(choices) / 2;
  // Longer ones are refused by the memory that their answers would take, which no test machine has either.
  chosen.max_length = static_cast<std::int32_t>(below(choices, 6));
  chosen.stop = below(choices, 2) == 0 ? mlb::Stop::best : mlb::Stop::all;
  chosen.class_score = static_cast<mlb::ClassScore>(below(choices, 4));
  chosen.node_limit = number(choices);
  return chosen;
}

void once(Choices& choices) {
  const std::size_t labels = below(choices, 30) == 0 ? 600 : 1 + below(choices, 6);
  const std::size_t depth = below(choices, 5), state = below(choices, 40) == 0 ? choices.any(8) : below(choices, 4);
  const bool fits = below(choices, 10) > 0;
  const auto activation = static_cast<mlb::Activation>(below(choices, 3));
  mlb::ModelTree tree(mlb::Scorer(floats(choices, (labels + 1) * depth + (fits ? 0 : below(choices, 3))),
                                  floats(choices, labels + 1), activation),
                      state);
  mlb::SearchOptions chosen = options(choices);
  // What a wide beam or an exact search may hold is for its user to bound: labels to the power of the length.
  if (labels > 6) {
    chosen.beam_width = std::min(chosen.beam_width, 3);
    chosen.node_limit = std::min<std::int64_t>(chosen.node_limit, 1000);
  }
  mlb::BeamSearch search(tree, chosen, below(choices, 3) == 0, static_cast<int>(below(choices, 4)));
  for (std::size_t call = below(choices, 30); call > 0; --call) {
    try {
      const std::size_t images = below(choices, 5);
      switch (below(choices, 8)) {
        case 0:
          search.begin(floats(choices, images * depth), floats(choices, (below(choices, 2) == 0 ? 1 : images) * state),
                       below(choices, 2) == 0, below(choices, 2) == 0);
          break;
        case 1:
          search.abandon();
          break;
        case 2: {
          const std::vector<std::int32_t> parents{-1, 0, number(choices)};
          const std::vector<std::int32_t> names{tree.scorer.start(), 0, number(choices)};
          tree.add({.parents = parents,
                    .labels = names,
                    .terms = floats(choices, 3 * depth),
                    .states = floats(choices, 3 * state)});
          break;
        }
        default:
          if (search.pending() == 0) {
            search.advance();
          } else {
            std::vector<std::int64_t> wanted(search.pending());
            std::vector<float> states(search.pending() * state);
            search.write_pending(wanted, states);
            search.provide(floats(choices, search.pending() * depth), floats(choices, search.pending() * state));
          }
      }
    } catch (const std::exception&) {
      continue;
    }
  }
}

// Returns whether the input was refused as a whole.
bool refused(std::span<const std::uint8_t> input) {
  Choices choices(input);
  try {
    once(choices);
  } catch (const std::exception&) {
    return true;
  }
  return false;
}

}  // namespace

#ifdef MLB_LIBFUZZER
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  refused({data, size});
  return 0;
}
#else
int main(int count, char** arguments) {
  const long calls = count > 1 ? std::strtol(arguments[1], nullptr, 10) : 300;
  const long seed = count > 2 ? std::strtol(arguments[2], nullptr, 10) : 0;
  constexpr std::size_t kLongest = 1 << 14;
  std::vector<std::uint8_t> input(kLongest);
  long turned_away = 0;
  for (long call = 0; call < calls; ++call) {
    std::mt19937_64 random(static_cast<std::uint64_t>(seed) * 1'000'003U + static_cast<std::uint64_t>(call));
    for (std::uint8_t& byte : input) byte = static_cast<std::uint8_t>(random());
    turned_away += refused(input) ? 1 : 0;
  }
  std::cout << calls << " inputs, " << turned_away << " refused when a model or search was made\n";
  return 0;
}
#endif
