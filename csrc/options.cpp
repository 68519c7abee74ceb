#include "options.h"

#include <stdexcept>

namespace mlb {

SearchOptions checked(const SearchOptions& options) {
  if (options.beam_width < 1 || options.max_length < 1 || options.min_length < 0 || options.node_limit < 1) {
    throw std::invalid_argument("beam_width, max_length and node_limit must be at least 1, min_length at least 0");
  }
  return options;
}

}  // namespace mlb
