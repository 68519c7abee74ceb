// Checks that stay in release builds and say where they failed.
#pragma once

#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>

#define CHECK(condition)                                                               \
  do {                                                                                 \
    if (!(condition)) {                                                                \
      std::cerr << __FILE__ << ":" << __LINE__ << ": " << #condition << " is false\n"; \
      std::exit(1);                                                                    \
    }                                                                                  \
  } while (false)

namespace mlb_test {

// Returns what a call says where it refuses its arguments, and nothing where it takes them.
template <typename Call>
std::string refusal(const Call& call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return {};
}

}  // namespace mlb_test
