// What is wrong with a command line, said like every other error, with what was probably meant.
#pragma once

#include <CLI/CLI.hpp>

#include "base/error.h"

namespace whimbrel::cli {

Error no_such_verb(const CLI::App& app, const std::string& word);
Error usage_error(const CLI::App& app, const CLI::ParseError& error);

}  // namespace whimbrel::cli
