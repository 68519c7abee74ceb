// What is searched for. The words are those of bench.records.SearchOptions; bench/decode/search.py says what they mean.
#pragma once

#include <cstdint>

namespace mlb {

enum class Activation : std::uint8_t { identity, relu, tanh };
enum class Search : std::uint8_t { beam, exact };
enum class Stop : std::uint8_t { best, all };
enum class ClassScore : std::uint8_t { max_over_steps, first_step, beam_marginal, inclusion };

// No field has a default here: bench.records.SearchOptions is the one place that gives them. Whoever builds one names
// every field, and the compiler refuses one that is left out (-Werror=missing-field-initializers).
struct SearchOptions {
  Search search;
  std::int32_t beam_width;
  bool end_consumes_slot;  // an ended path takes a place in the beam in the round it ends
  bool mask_repeats;
  std::int32_t min_length;  // labels before END is allowed
  std::int32_t max_length;  // most steps, END included, so also most labels
  Stop stop;
  ClassScore class_score;
  std::int64_t node_limit;  // most prefixes that an exact search expands for one image
};

// Returns the options. Throws std::invalid_argument where a number is out of its range.
SearchOptions checked(const SearchOptions& options);

}  // namespace mlb
