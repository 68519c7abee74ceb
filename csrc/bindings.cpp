// The border between Python and the beam search: checks and conversions, no arithmetic.
#include <pybind11/pybind11.h>

PYBIND11_MODULE(_beam, module) { module.doc() = "Beam search over label sequences."; }
