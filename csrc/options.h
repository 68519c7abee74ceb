// What is searched for. The words are those of bench.records.SearchOptions; bench/decode/search.py says what they mean.
#pragma once

#include <cstdint>

namespace mlb {

enum class Activation { identity, relu, tanh };
enum class Search { beam, exact };
enum class Stop { best, all };
enum class ClassScore { max_over_steps, first_step, beam_marginal };

struct SearchOptions {
  Search search = Search::beam;
  std::int32_t beam_width = 2;
  bool end_consumes_slot = true;  // an ended path takes a place in the beam in the round it ends
  bool mask_repeats = false;
  std::int32_t min_length = 0;   // labels before END is allowed
  std::int32_t max_length = 20;  // most steps, END included, so also most labels
  Stop stop = Stop::best;
  ClassScore class_score = ClassScore::max_over_steps;
  std::int64_t node_limit = 100'000;  // most prefixes that an exact search expands for one image
};

}  // namespace mlb
