// The command line as data: what completion and the manual page are made from, so that neither
// can say something else than `--help`.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace whimbrel::cli {

enum class Takes { nothing, text, words, plan, file, folder };

struct Argument {
  std::string name;  // "--until", or "plan" where it stands without a name
  std::string help;
  Takes takes = Takes::text;
  std::vector<std::string> words;  // all that it takes
  bool required = false;
  bool operator==(const Argument&) const = default;
};

struct VerbSurface {
  std::string name;
  std::string help;
  std::string examples;
  std::vector<Argument> positionals;
  std::vector<Argument> flags;  // without those that every verb has
};

struct Surface {
  std::string name;
  std::string what;
  std::vector<VerbSurface> verbs;  // hidden ones are left out
  std::vector<Argument> common;    // on every verb
};

Surface surface_of(const CLI::App& app);

// The verbs that print it.
struct Options;
int completion(const Options& options, const CLI::App& app);
int man(const CLI::App& app, const std::string& version);

}  // namespace whimbrel::cli
