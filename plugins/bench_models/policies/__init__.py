"""First-party label-set policies: how many labels an image gets, chosen on the validation part; without torch."""
