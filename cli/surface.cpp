#include "surface.h"

#include <algorithm>
#include <sstream>

namespace whimbrel::cli {

namespace {

// CLI11 keeps the words that an option takes as a text: "TEXT:{old,new,both}".
std::vector<std::string> words_in(const std::string& type) {
  const std::size_t begin = type.find('{');
  const std::size_t end = type.find('}');
  std::vector<std::string> words;
  if (begin == std::string::npos || end == std::string::npos) return words;
  std::stringstream list(type.substr(begin + 1, end - begin - 1));
  for (std::string word; std::getline(list, word, ',');) words.push_back(word);
  return words;
}

Takes kind_of(const std::string& name) {
  if (name == "plan" || name == "--plan") return Takes::plan;
  if (name == "--state") return Takes::folder;
  for (const char* file :
       {"--log-file", "--checkpoint", "--output", "--baseline", "before", "after", "--html"}) {
    if (name == file) return Takes::file;
  }
  return Takes::text;
}

Argument argument_of(const CLI::Option& option, const std::string& name) {
  Argument argument{name, option.get_description(), kind_of(name), {}, option.get_required()};
  argument.words = words_in(option.get_type_name());
  if (!argument.words.empty()) argument.takes = Takes::words;
  if (option.get_items_expected_max() == 0) argument.takes = Takes::nothing;
  return argument;
}

// What stands above the examples in the footer is for `--help` alone.
std::string examples_of(const CLI::App& verb) {
  const std::string footer = verb.get_footer();
  const std::size_t begin = footer.find('\n');
  return begin == std::string::npos ? "" : footer.substr(begin + 1);
}

VerbSurface verb_of(const CLI::App& verb) {
  VerbSurface surface{verb.get_name(), verb.get_description(), examples_of(verb), {}, {}};
  for (const CLI::Option* option : verb.get_options()) {
    if (option->get_group().empty()) continue;  // hidden
    if (!option->get_lnames().empty()) {
      surface.flags.push_back(argument_of(*option, "--" + option->get_lnames().front()));
    } else if (option->get_positional()) {
      surface.positionals.push_back(argument_of(*option, option->get_name(true)));
    }
  }
  return surface;
}

bool has(const VerbSurface& verb, const Argument& flag) {
  return std::ranges::count(verb.flags, flag) > 0;
}

}  // namespace

Surface surface_of(const CLI::App& app) {
  Surface surface{app.get_name(), app.get_description(), {}, {}};
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!verb->get_group().empty()) surface.verbs.push_back(verb_of(*verb));
  }
  if (surface.verbs.empty()) return surface;
  for (const Argument& flag : surface.verbs.front().flags) {
    const bool everywhere = std::ranges::all_of(
        surface.verbs, [&](const VerbSurface& verb) { return has(verb, flag); });
    if (everywhere) surface.common.push_back(flag);
  }
  for (VerbSurface& verb : surface.verbs) {
    std::erase_if(verb.flags, [&](const Argument& flag) {
      return std::ranges::count(surface.common, flag) > 0;
    });
  }
  return surface;
}

}  // namespace whimbrel::cli
