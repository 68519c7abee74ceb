// The border between Python and the beam search: checks and conversions, no arithmetic.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "beam.h"

namespace py = pybind11;

namespace {

using FloatArray = py::array_t<float>;

// A C-contiguous float32 array of two dimensions, finite throughout; nothing is copied or converted silently.
std::span<const float> rows_of(const py::object& object, const char* name, py::ssize_t columns) {
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
  const std::span<const float> values(static_cast<const float*>(array.data()), static_cast<std::size_t>(array.size()));
  if (!mlb::vector_math().all_finite(values.data(), values.size())) {
    throw py::value_error(std::string(name) + " holds NaN or infinity");
  }
  return values;
}

// One entry for each label and END; -infinity forbids a label.
std::span<const float> bias_of(const py::array_t<float, py::array::c_style>& array) {
  const std::span<const float> values(array.data(), static_cast<std::size_t>(array.size()));
  for (const float value : values) {
    if (std::isnan(value) || value == std::numeric_limits<float>::infinity()) {
      throw py::value_error("bias holds NaN or +infinity");
    }
  }
  return values;
}

template <typename T>
T choice(const std::string& name, const std::string& value, std::initializer_list<std::pair<const char*, T>> known) {
  std::string allowed;
  for (const auto& [word, result] : known) {
    if (value == word) return result;
    allowed += (allowed.empty() ? "" : ", ") + std::string(word);
  }
  throw py::value_error(name + " is '" + value + "', must be one of " + allowed);
}

template <typename T>
py::array_t<T> to_array(const std::vector<T>& values, std::vector<py::ssize_t> shape) {
  py::array_t<T> array(std::move(shape));
  std::copy(values.begin(), values.end(), array.mutable_data());
  return array;
}

py::array_t<bool> to_bools(const std::vector<std::uint8_t>& values) {
  py::array_t<bool> array(static_cast<py::ssize_t>(values.size()));
  std::copy(values.begin(), values.end(), array.mutable_data());
  return array;
}

mlb::SearchOptions options_of(const py::object& object) {
  mlb::SearchOptions options;
  options.search = choice<mlb::Search>("search", object.attr("search").cast<std::string>(),
                                       {{"beam", mlb::Search::beam}, {"exact", mlb::Search::exact}});
  options.stop = choice<mlb::Stop>("stop", object.attr("stop").cast<std::string>(),
                                   {{"best", mlb::Stop::best}, {"all", mlb::Stop::all}});
  options.class_score = choice<mlb::ClassScore>("class_score", object.attr("class_score").cast<std::string>(),
                                                {{"max_over_steps", mlb::ClassScore::max_over_steps},
                                                 {"first_step", mlb::ClassScore::first_step},
                                                 {"beam_marginal", mlb::ClassScore::beam_marginal}});
  options.beam_width = object.attr("beam_width").cast<std::int32_t>();
  options.end_consumes_slot = object.attr("end_consumes_slot").cast<bool>();
  options.mask_repeats = object.attr("mask_repeats").cast<bool>();
  options.min_length = object.attr("min_length").cast<std::int32_t>();
  options.max_length = object.attr("max_length").cast<std::int32_t>();
  options.node_limit = object.attr("node_limit").cast<std::int64_t>();
  if (options.beam_width < 1 || options.max_length < 1 || options.min_length < 0 || options.node_limit < 1) {
    throw py::value_error("beam_width, max_length and node_limit must be at least 1, min_length at least 0");
  }
  return options;
}

// A prefix tree with the scorer whose rows it holds.
struct Tree {
  Tree(const py::object& output, const py::array_t<float, py::array::c_style>& bias, const std::string& activation,
       std::size_t state_size)
      : scorer(rows_of(output, "output", -1), bias_of(bias),
               choice<mlb::Activation>("activation", activation,
                                       {{"identity", mlb::Activation::identity},
                                        {"relu", mlb::Activation::relu},
                                        {"tanh", mlb::Activation::tanh}})),
        state_size(state_size),
        prefixes(scorer.row_width(), mlb::padded(state_size)) {}

  mlb::Scorer scorer;
  std::size_t state_size;
  mlb::PrefixTree prefixes;
  const void* user = nullptr;  // the search that is under way
};

// What a step network said of prefixes earlier, so that it need not be asked again.
void add_prefixes(Tree& tree, const py::array_t<std::int32_t, py::array::c_style>& parents,
                  const py::array_t<std::int32_t, py::array::c_style>& labels, const py::object& terms,
                  const py::object& states) {
  const std::span<const float> term_rows = rows_of(terms, "terms", static_cast<py::ssize_t>(tree.scorer.depth()));
  const std::span<const float> state_rows = rows_of(states, "states", static_cast<py::ssize_t>(tree.state_size));
  const auto count = static_cast<std::size_t>(parents.size());
  if (labels.size() != parents.size() || term_rows.size() != count * tree.scorer.depth() ||
      state_rows.size() != count * tree.state_size) {
    throw py::value_error("parents, labels, terms and states must have one row for each prefix");
  }
  if (tree.user != nullptr || tree.prefixes.size() != 0) throw py::value_error("the tree is not empty");
  for (std::size_t i = 0; i < count; ++i) {
    const std::int32_t parent = parents.data()[i], label = labels.data()[i];
    const bool is_root = parent == -1 && label == tree.scorer.start();
    const bool is_child =
        parent >= 0 && parent < static_cast<std::int32_t>(i) && label >= 0 && label < tree.scorer.end();
    const std::int32_t key = is_root ? mlb::BeamSearch::kSharedRoot : parent;
    if ((!is_root && !is_child) || tree.prefixes.find(key, label) != mlb::PrefixTree::kAbsent) {
      tree.prefixes.truncate(0);
      throw py::value_error("prefix " + std::to_string(i) + " has no parent before it, or stands twice");
    }
    const std::int32_t node = tree.prefixes.insert(key, label);
    tree.scorer.prefix_row(term_rows.data() + i * tree.scorer.depth(), tree.prefixes.term(node));
    std::copy_n(state_rows.data() + i * tree.state_size, tree.state_size, tree.prefixes.state(node));
  }
}

class Search {
 public:
  Search(std::shared_ptr<Tree> tree, const py::object& options, bool sees_image, int threads)
      : tree_(std::move(tree)),
        options_(options_of(options)),
        search_(tree_->scorer, tree_->prefixes, options_, tree_->state_size, sees_image, threads) {}
  ~Search() { release(); }
  Search(const Search&) = delete;
  Search& operator=(const Search&) = delete;

  void begin(py::object image_terms, py::object start_states, bool class_scores) {
    const auto terms = rows_of(image_terms, "image_terms", static_cast<py::ssize_t>(tree_->scorer.depth()));
    const auto states = rows_of(start_states, "start_states", static_cast<py::ssize_t>(tree_->state_size));
    refuse_while_advancing();
    if (tree_->user != nullptr && tree_->user != this) throw py::value_error("the tree is in use by another search");
    search_.begin(terms, states, class_scores);
    tree_->user = this;
    image_terms_ = std::move(image_terms);  // the search reads these arrays until it is done
    start_states_ = std::move(start_states);
  }

  py::object advance() {
    refuse_while_advancing();
    if (tree_->user != this) throw py::value_error("begin() must come before advance()");
    bool lacking = false;
    {
      const py::gil_scoped_release release;
      advancing_ = true;
      try {
        lacking = search_.advance();
      } catch (...) {
        advancing_ = false;
        throw;
      }
      advancing_ = false;
    }
    if (!lacking) {
      tree_->user = nullptr;
      return py::none();
    }
    const auto count = static_cast<py::ssize_t>(search_.pending());
    py::array_t<std::int64_t> labels(count);
    FloatArray states({count, static_cast<py::ssize_t>(tree_->state_size)});
    search_.write_pending({labels.mutable_data(), static_cast<std::size_t>(labels.size())},
                          {states.mutable_data(), static_cast<std::size_t>(states.size())});
    return py::make_tuple(labels, states);
  }

  void provide(const py::object& terms, const py::object& states) {
    refuse_while_advancing();
    search_.provide(rows_of(terms, "terms", static_cast<py::ssize_t>(tree_->scorer.depth())),
                    rows_of(states, "states", static_cast<py::ssize_t>(tree_->state_size)));
  }

  py::array_t<std::int32_t> sequences() const {
    return to_array(search_.answers().sequences,
                    {static_cast<py::ssize_t>(search_.images()), static_cast<py::ssize_t>(options_.max_length)});
  }

  py::dict answers() const {
    const mlb::Answers& answers = search_.answers();
    const auto images = static_cast<py::ssize_t>(search_.images());
    py::dict result;
    result["sequences"] = sequences();
    result["log_probabilities"] = to_array(answers.log_probabilities, {images});
    result["complete"] = to_bools(answers.complete);
    result["limited"] = to_bools(answers.limited);
    result["beam_missed"] = to_bools(answers.beam_missed);
    if (!answers.class_scores.empty() || images == 0) {
      result["class_scores"] = to_array(answers.class_scores, {images, tree_->scorer.labels()});
    }
    return result;
  }

  void release() {
    search_.abandon();
    if (tree_->user == this) tree_->user = nullptr;
  }

  std::int64_t prefixes_computed() const { return search_.prefixes_computed(); }
  std::int64_t rows_scored() const { return search_.rows_scored(); }

 private:
  // The GIL is released while advancing, so another Python thread may call.
  void refuse_while_advancing() const {
    if (advancing_) throw py::value_error("the search is advancing in another thread");
  }

  std::shared_ptr<Tree> tree_;
  py::object image_terms_, start_states_;
  mlb::SearchOptions options_;
  mlb::BeamSearch search_;
  std::atomic<bool> advancing_ = false;
};

}  // namespace

PYBIND11_MODULE(_beam, module) {
  module.doc() = "Beam search over label sequences; bench/decode/decoder.py is its only user.";
  py::class_<Tree, std::shared_ptr<Tree>>(module, "Tree", "Label prefixes and what the step network said of them.")
      .def(
          py::init<const py::object&, const py::array_t<float, py::array::c_style>&, const std::string&, std::size_t>(),
          py::arg("output"), py::arg("bias").noconvert(), py::arg("activation"), py::arg("state_size"))
      .def("__len__", [](const Tree& tree) { return tree.prefixes.size(); })
      .def_property_readonly("bytes", [](const Tree& tree) { return tree.prefixes.bytes(); })
      .def_property_readonly("bytes_per_prefix", [](const Tree& tree) { return tree.prefixes.bytes_per_node(); })
      .def("add", &add_prefixes, py::arg("parents"), py::arg("labels"), py::arg("terms"), py::arg("states"),
           "Add prefixes to an empty tree, parents first; a parent is a row number, -1 for START's own.")
      .def(
          "truncate",
          [](Tree& tree, std::int32_t size) {
            if (tree.user != nullptr) throw py::value_error("the tree is in use by a search");
            tree.prefixes.truncate(std::max(size, 0));
          },
          py::arg("size"), "Keep only the oldest `size` prefixes.");
  py::class_<Search>(module, "Search", "Searches over sets of images, one after another.")
      .def(py::init<std::shared_ptr<Tree>, const py::object&, bool, int>(), py::arg("tree"), py::arg("options"),
           py::kw_only(), py::arg("sees_image") = false, py::arg("threads") = 0)
      .def("begin", &Search::begin, py::arg("image_terms"), py::arg("start_states"), py::arg("class_scores") = true,
           "Take a set of images to search.")
      .def("advance", &Search::advance, "Return the lacking prefixes, (labels, parent states), or None when done.")
      .def("provide", &Search::provide, py::arg("terms"), py::arg("states"), "Answer the lacking prefixes.")
      .def("answers", &Search::answers, "Return the arrays of the answers by name.")
      .def("sequences", &Search::sequences, "Return the label sequences alone, padded with -1.")
      .def("release", &Search::release, "Give up what is under way, so that the tree is free for another search.")
      .def_property_readonly("rows_scored", &Search::rows_scored)
      .def_property_readonly("prefixes_computed", &Search::prefixes_computed);
}
