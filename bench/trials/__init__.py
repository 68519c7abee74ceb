"""Choice of options within a budget of trials, judged on the validation part."""
