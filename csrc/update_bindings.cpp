// The border between Python and the updates of weights: checks, no arithmetic.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "update.h"

namespace py = pybind11;

namespace {

// A C-contiguous float32 array of `count` numbers, where the arithmetic may read and write: nothing is copied silently.
py::array floats(const py::object& object, const char* name, py::ssize_t count, bool written) {
  using FloatArray = py::array_t<float, py::array::c_style>;
  if (!py::isinstance<FloatArray>(object)) {
    throw py::value_error(std::string(name) + " must be a C-contiguous NumPy array of float32");
  }
  auto array = py::reinterpret_borrow<py::array>(object);
  if ((array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) == 0) {
    throw py::value_error(std::string(name) + " must be aligned");
  }
  if (written && !array.writeable()) throw py::value_error(std::string(name) + " must be writeable");
  if (array.size() != count) {
    throw py::value_error(std::string(name) + " holds " + std::to_string(array.size()) + " numbers, must hold " +
                          std::to_string(count));
  }
  return array;
}

template <mlb::Rule mlb::Rules::* kRule, int kMoments, int kWithMomentum>
void update(const py::object& values, const py::object& gradient, const py::object& moments, std::int64_t steps,
            double rate, float momentum, float weight_decay) {
  if (!py::isinstance<py::array>(values)) throw py::value_error("values must be a NumPy array");
  const mlb::Rule rule = mlb::update_rules().*kRule;
  const py::ssize_t remembered = kMoments + (momentum > 0.0F ? kWithMomentum : 0);
  const py::ssize_t count = py::reinterpret_borrow<py::array>(values).size();
  py::array changed = floats(values, "values", count, true);
  const py::array given = floats(gradient, "gradient", count, false);
  py::array kept = floats(moments, "moments", remembered * count, true);
  auto* const to = static_cast<float*>(changed.mutable_data());
  const auto* const from = static_cast<const float*>(given.data());
  auto* const memory = static_cast<float*>(kept.mutable_data());
  const py::gil_scoped_release release;
  rule(to, from, memory, static_cast<std::size_t>(count),
       {.rate = rate, .momentum = momentum, .weight_decay = weight_decay, .steps = steps});
}

template <mlb::Rule mlb::Rules::* kRule, int kMoments, int kWithMomentum>
void define(py::module_& module, const char* name, const char* doc) {
  module.def(name, &update<kRule, kMoments, kWithMomentum>, py::arg("values"), py::arg("gradient"), py::arg("moments"),
             py::arg("steps"), py::arg("rate"), py::arg("momentum"), py::arg("weight_decay"), doc);
}

}  // namespace

PYBIND11_MODULE(_update, module) {
  module.doc() = "Updates of weights by an optimiser's rule; bench/model/update.py is its only user.";
  module.attr("source_hash") = MLB_SOURCE_HASH;
  define<&mlb::Rules::rmsprop, 1, 1>(module, "rmsprop", "Divide by the root of the mean square of gradients.");
  define<&mlb::Rules::adam, 2, 0>(module, "adam", "Divide the mean of gradients by the root of their mean square.");
  define<&mlb::Rules::sgd, 0, 1>(module, "sgd", "Follow the gradient, or the sum of gradients.");
}
