// The one place where the C++ tests say what they search for.
#pragma once

#include "options.h"

namespace mlb_test {

// A narrow, short beam search; a test changes what it is about.
inline mlb::SearchOptions short_search() {
  return {.search = mlb::Search::beam,
          .beam_width = 3,
          .end_consumes_slot = true,
          .mask_repeats = false,
          .min_length = 0,
          .max_length = 5,
          .stop = mlb::Stop::best,
          .class_score = mlb::ClassScore::max_over_steps,
          .node_limit = 60};
}

}  // namespace mlb_test
