// The border between Python and the beam search: checks and conversions, no arithmetic.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "beam.h"
#include "model_tree.h"
#include "options.h"
#include "scorer.h"
#include "vector_math.h"

namespace py = pybind11;

namespace {

using FloatArray = py::array_t<float>;
template <typename T>
using CArray = py::array_t<T, py::array::c_style>;  // C-contiguous

// Numbers where their type may lie: arrays over another's bytes may begin anywhere.
void refuse_unaligned(const py::array& array, const char* name) {
  if ((array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) == 0) {
    throw py::value_error(std::string(name) + " must be aligned");
  }
}

// A C-contiguous float32 array of two dimensions, which the caller checks for NaN; nothing is copied or converted
// silently.
std::span<const float> shaped_rows(const py::object& object, const char* name, py::ssize_t columns) {
  if (!py::isinstance<py::array>(object)) throw py::value_error(std::string(name) + " must be a NumPy array");
  const auto array = py::reinterpret_borrow<py::array>(object);
  if (!py::isinstance<FloatArray>(object)) {
    throw py::value_error(std::string(name) + " is " + py::str(array.dtype()).cast<std::string>() +
                          ", must be float32");
  }
  if (array.ndim() != 2 || (columns >= 0 && array.shape(1) != columns)) {
    throw py::value_error(std::string(name) + " has shape " + py::str(array.attr("shape")).cast<std::string>() +
                          ", must be (rows, " + (columns >= 0 ? std::to_string(columns) : "columns") + ")");
  }
  if ((array.flags() & py::array::c_style) == 0) throw py::value_error(std::string(name) + " must be C-contiguous");
  refuse_unaligned(array, name);
  return {static_cast<const float*>(array.data()), static_cast<std::size_t>(array.size())};
}

// The same, finite throughout.
std::span<const float> rows_of(const py::object& object, const char* name, py::ssize_t columns) {
  const std::span<const float> values = shaped_rows(object, name, columns);
  if (!mlb::vector_math().all_finite(values.data(), values.size())) {
    throw py::value_error(std::string(name) + " holds NaN or infinity");
  }
  return values;
}

template <typename T>
std::span<const T> values_of(const CArray<T>& array, const char* name) {
  refuse_unaligned(array, name);
  return {array.data(), static_cast<std::size_t>(array.size())};
}

// The core's name for a word; `known` are the words that bench.records and bench.contracts allow.
template <typename T>
T choice(const char* name, const std::string& value, std::initializer_list<std::pair<const char*, T>> known) {
  std::string allowed;
  for (const auto& [word, meaning] : known) {
    if (value == word) return meaning;
    allowed.append(allowed.empty() ? "" : ", ").append(word);
  }
  throw py::value_error(std::string(name) + " is '" + value + "', must be one of " + allowed);
}

template <typename T>
py::array_t<T> to_array(const std::vector<T>& values, std::vector<py::ssize_t> shape) {
  py::array_t<T> array(std::move(shape));
  std::copy(values.begin(), values.end(), array.mutable_data());
  return array;
}

py::array_t<bool> to_bools(const std::vector<std::uint8_t>& values) {
  py::array_t<bool> array(static_cast<py::ssize_t>(values.size()));
  std::ranges::copy(values, array.mutable_data());
  return array;
}

mlb::Activation activation_of(const std::string& word) {
  return choice<mlb::Activation>(
      "activation", word,
      {{"identity", mlb::Activation::identity}, {"relu", mlb::Activation::relu}, {"tanh", mlb::Activation::tanh}});
}

mlb::Search search_of(const std::string& word) {
  return choice<mlb::Search>("search", word, {{"beam", mlb::Search::beam}, {"exact", mlb::Search::exact}});
}

mlb::Stop stop_of(const std::string& word) {
  return choice<mlb::Stop>("stop", word, {{"best", mlb::Stop::best}, {"all", mlb::Stop::all}});
}

mlb::ClassScore class_score_of(const std::string& word) {
  return choice<mlb::ClassScore>("class_score", word,
                                 {{"max_over_steps", mlb::ClassScore::max_over_steps},
                                  {"first_step", mlb::ClassScore::first_step},
                                  {"beam_marginal", mlb::ClassScore::beam_marginal},
                                  {"inclusion", mlb::ClassScore::inclusion}});
}

mlb::SearchOptions options_of(const py::object& options) {
  return {.search = search_of(options.attr("search").cast<std::string>()),
          .beam_width = options.attr("beam_width").cast<std::int32_t>(),
          .end_consumes_slot = options.attr("end_consumes_slot").cast<bool>(),
          .mask_repeats = options.attr("mask_repeats").cast<bool>(),
          .min_length = options.attr("min_length").cast<std::int32_t>(),
          .max_length = options.attr("max_length").cast<std::int32_t>(),
          .stop = stop_of(options.attr("stop").cast<std::string>()),
          .class_score = class_score_of(options.attr("class_score").cast<std::string>()),
          .node_limit = options.attr("node_limit").cast<std::int64_t>()};
}

// A count that Python gave, which may be negative there.
std::size_t count_of(std::int64_t value, const char* name) {
  if (value < 0) throw py::value_error(std::string(name) + " is " + std::to_string(value) + ", must be at least 0");
  return static_cast<std::size_t>(value);
}

// A model's prefixes, and who uses them.
struct Tree {
  Tree(const py::object& output, const CArray<float>& bias, const std::string& activation, std::int64_t state_size)
      : model(mlb::Scorer(rows_of(output, "output", -1), values_of(bias, "bias"), activation_of(activation)),
              count_of(state_size, "state_size")) {}

  // Both are columns of NumPy arrays.
  py::ssize_t depth() const { return static_cast<py::ssize_t>(model.scorer.depth()); }
  py::ssize_t state_size() const { return static_cast<py::ssize_t>(model.state_size); }

  void add(const CArray<std::int32_t>& parents, const CArray<std::int32_t>& labels, const py::object& terms,
           const py::object& states) {
    if (user != nullptr) throw py::value_error("the tree is in use by a search");
    model.add({.parents = values_of(parents, "parents"),
               .labels = values_of(labels, "labels"),
               .terms = rows_of(terms, "terms", depth()),
               .states = rows_of(states, "states", state_size())});
  }

  void truncate(std::int32_t size) {
    if (user != nullptr) throw py::value_error("the tree is in use by a search");
    model.prefixes.truncate(size);
  }

  // While a search advances without the GIL it adds prefixes: others are told how many there were before.
  std::int32_t size() const { return advancing ? size_before : model.prefixes.size(); }
  std::size_t bytes() const { return static_cast<std::size_t>(size()) * model.prefixes.bytes_per_node(); }

  mlb::ModelTree model;
  const void* user = nullptr;  // the search that is under way
  bool advancing = false;
  std::int32_t size_before = 0;
};

class Search {
 public:
  Search(std::shared_ptr<Tree> tree, const py::object& options, bool sees_image, int threads)
      : tree_(std::move(tree)), options_(options_of(options)), search_(tree_->model, options_, sees_image, threads) {}
  ~Search() { give_up(); }
  Search(const Search&) = delete;
  Search& operator=(const Search&) = delete;

  void begin(const py::object& image_terms, const py::object& start_states, bool class_scores, bool log_probabilities) {
    const auto terms = shaped_rows(image_terms, "image_terms", tree_->depth());
    const auto states = shaped_rows(start_states, "start_states", tree_->state_size());
    refuse_while_advancing();
    if (tree_->user != nullptr && tree_->user != this) throw py::value_error("the tree is in use by another search");
    give_up();
    search_.begin(terms, states, class_scores, log_probabilities);
    tree_->user = this;
  }

  py::object advance() {
    refuse_while_advancing();
    if (tree_->user != this) throw py::value_error("begin() must come before advance()");
    const bool lacking = advance_without_gil();
    if (!lacking) {
      tree_->user = nullptr;
      return py::none();
    }
    const auto count = static_cast<py::ssize_t>(search_.pending());
    py::array_t<std::int64_t> labels(count);
    FloatArray states({count, tree_->state_size()});
    search_.write_pending({labels.mutable_data(), static_cast<std::size_t>(labels.size())},
                          {states.mutable_data(), static_cast<std::size_t>(states.size())});
    return py::make_tuple(labels, states);
  }

  void provide(const py::object& terms, const py::object& states) {
    refuse_while_advancing();
    search_.provide(rows_of(terms, "terms", tree_->depth()), rows_of(states, "states", tree_->state_size()));
  }

  py::array_t<std::int32_t> sequences() const {
    refuse_while_advancing();
    return to_array(search_.answers().sequences,
                    {static_cast<py::ssize_t>(search_.images()), static_cast<py::ssize_t>(options_.max_length)});
  }

  py::dict answers() const {
    refuse_while_advancing();
    const mlb::Answers& answers = search_.answers();
    const auto images = static_cast<py::ssize_t>(search_.images());
    py::dict result;
    result["sequences"] = sequences();
    if (!answers.log_probabilities.empty() || images == 0) {
      result["log_probabilities"] = to_array(answers.log_probabilities, {images});
    }
    result["complete"] = to_bools(answers.complete);
    result["limited"] = to_bools(answers.limited);
    result["beam_missed"] = to_bools(answers.beam_missed);
    if (!answers.class_scores.empty() || images == 0) {
      result["class_scores"] = to_array(answers.class_scores, {images, tree_->model.scorer.labels()});
    }
    return result;
  }

  void release() {
    refuse_while_advancing();
    give_up();
  }

  std::int64_t prefixes_computed() const { return search_.prefixes_computed(); }

  std::int64_t rows_scored() const {
    refuse_while_advancing();
    return search_.rows_scored();
  }

 private:
  // True while it lives. Made before the GIL is released and destroyed after it is held again, so that another Python
  // thread never finds the search idle while it works.
  class Advancing {
   public:
    explicit Advancing(Tree& tree) : tree_(tree) {
      tree_.size_before = tree_.model.prefixes.size();
      tree_.advancing = true;
    }
    ~Advancing() { tree_.advancing = false; }
    Advancing(const Advancing&) = delete;
    Advancing& operator=(const Advancing&) = delete;

   private:
    Tree& tree_;
  };

  bool advance_without_gil() {
    const Advancing advancing(*tree_);
    const py::gil_scoped_release release;
    return search_.advance();
  }

  void refuse_while_advancing() const {
    if (tree_->advancing && tree_->user == this) throw py::value_error("the search is advancing in another thread");
  }

  void give_up() {
    search_.abandon();
    if (tree_->user == this) tree_->user = nullptr;
  }

  std::shared_ptr<Tree> tree_;
  mlb::SearchOptions options_;
  mlb::BeamSearch search_;
};

}  // namespace

PYBIND11_MODULE(_beam, module) {
  module.doc() = "Beam search over label sequences; bench/decode/decoder.py is its only user.";
  module.attr("source_hash") = MLB_SOURCE_HASH;
  module.attr("instruction_set") = mlb::instruction_set();
  py::class_<Tree, std::shared_ptr<Tree>>(module, "Tree", "Label prefixes and what the step network said of them.")
      .def(py::init<const py::object&, const CArray<float>&, const std::string&, std::int64_t>(), py::arg("output"),
           py::arg("bias").noconvert(), py::arg("activation"), py::arg("state_size"))
      .def("__len__", &Tree::size)
      .def_property_readonly("bytes", &Tree::bytes)
      .def_property_readonly("screens", [](const Tree& tree) { return tree.model.scorer.screens(); })
      .def_property_readonly("bytes_per_prefix", [](const Tree& tree) { return tree.model.prefixes.bytes_per_node(); })
      .def("add", &Tree::add, py::arg("parents"), py::arg("labels"), py::arg("terms"), py::arg("states"),
           "Add prefixes to an empty tree, parents first; a parent is a row number, -1 for START's own.")
      .def("truncate", &Tree::truncate, py::arg("size"), "Keep only the oldest `size` prefixes.");
  py::class_<Search>(module, "Search", "Searches over sets of images, one after another.")
      .def(py::init<std::shared_ptr<Tree>, const py::object&, bool, int>(), py::arg("tree"), py::arg("options"),
           py::kw_only(), py::arg("sees_image") = false, py::arg("threads") = 0)
      .def("begin", &Search::begin, py::arg("image_terms"), py::arg("start_states"), py::arg("class_scores") = true,
           py::arg("log_probabilities") = true, "Take a set of images to search.")
      .def("advance", &Search::advance, "Return the lacking prefixes, (labels, parent states), or None when done.")
      .def("provide", &Search::provide, py::arg("terms"), py::arg("states"), "Answer the lacking prefixes.")
      .def("answers", &Search::answers, "Return the arrays of the answers by name.")
      .def("sequences", &Search::sequences, "Return the label sequences alone, padded with -1.")
      .def("release", &Search::release, "Give up what is under way, so that the tree is free for another search.")
      .def_property_readonly("rows_scored", &Search::rows_scored)
      .def_property_readonly("prefixes_computed", &Search::prefixes_computed);
}
