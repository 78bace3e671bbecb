#include "usage.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "surface.h"

namespace whimbrel::cli {

namespace {

Error mistake(std::string message, std::string hint) {
  return Error{ErrorCode::invalid_plan, std::move(message), std::move(hint), "nothing was changed"};
}

class Reader {
 public:
  Reader(const CLI::App& verb, const VerbSurface& surface, const Surface& all)
      : verb_(verb), arguments_(surface.positionals), help_("`whimbrel " + surface.name) {
    help_ += " --help` shows what it takes";
    for (const auto* flags : {&surface.flags, &all.common}) {
      arguments_.insert(arguments_.end(), flags->begin(), flags->end());
    }
  }

  Error read(const CLI::ParseError& error) const {
    std::vector<std::string> rest = verb_.remaining();
    const auto is_flag = [](const std::string& word) { return word.starts_with("-"); };
    // Before what is missing: a name that nobody knows may have swallowed it.
    const auto flag = std::ranges::find_if(rest, is_flag);
    if (flag != rest.end()) return unknown_flag(flag->substr(0, flag->find('=')));
    if (!rest.empty()) {
      return mistake(fmt::format("`{}` is one word too many for `{}`", printable(rest.front()),
                                 verb_.get_name()),
                     near_flag("--" + rest.front()).value_or(help_));
    }
    const std::string said = error.what();
    for (const Argument& argument : arguments_) {
      if (names(said, argument.name)) return about(argument, error);
    }
    return mistake(printable(said, 200), help_);
  }

 private:
  // As a whole word of what the parser said.
  static bool names(const std::string& said, const std::string& name) {
    const std::size_t at = said.find(name);
    if (at == std::string::npos) return false;
    const auto in_name = [](char c) {
      return std::isalnum(static_cast<unsigned char>(c)) || c == '-';
    };
    const std::size_t end = at + name.size();
    return (at == 0 || !in_name(said[at - 1])) && (end == said.size() || !in_name(said[end]));
  }

  std::optional<std::string> near_flag(const std::string& word) const {
    std::vector<std::string> known;
    for (const Argument& argument : arguments_) {
      if (argument.name.starts_with("--")) known.push_back(argument.name);
    }
    const std::string near = nearest(word, known);
    if (near.empty() || edit_distance(word, near) > 3) return std::nullopt;
    return "did you mean `" + near + "`?";
  }

  Error unknown_flag(const std::string& word) const {
    return mistake(fmt::format("`{}` has no option `{}`", verb_.get_name(), printable(word)),
                   near_flag(word).value_or(help_));
  }

  std::string values_of(const CLI::Option& option) const {
    const std::string type = option.get_type_name();  // "INT:INT in [1 - 1024]"
    const std::size_t range = type.find('[');
    const std::size_t between = type.find(" - ", range == std::string::npos ? 0 : range);
    if (range != std::string::npos && between != std::string::npos) {
      return fmt::format("it takes a whole number from {} to {}",
                         type.substr(range + 1, between - range - 1),
                         type.substr(between + 3, type.find(']', between) - between - 3));
    }
    const bool is_number = type.starts_with("INT") || type.starts_with("UINT");
    return is_number ? "it takes a whole number" : help_;
  }

  Error about(const Argument& argument, const CLI::ParseError& error) const {
    const std::string name = argument.name;
    if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
      return mistake(
          fmt::format("`{}` needs {}: {}", verb_.get_name(), ascii_upper(name), argument.help),
          help_);
    }
    const CLI::Option* option = verb_.get_option_no_throw(name);
    const std::vector<std::string> given =
        option == nullptr ? std::vector<std::string>() : option->results();
    if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr || given.empty()) {
      const char* what = given.size() > 1 ? "is said more than once" : "has no value";
      return mistake(fmt::format("`{}` {}", name, what),
                     argument.help.empty() ? help_ : fmt::format("{}: {}", name, argument.help));
    }
    std::string hint =
        argument.words.empty() ? values_of(*option) : "it takes " + join(argument.words, ", ");
    const std::string near = did_you_mean(given.back(), argument.words);
    return mistake(fmt::format("`{}` cannot be `{}`", name, printable(given.back())),
                   near.empty() ? hint : near + " " + hint);
  }

  const CLI::App& verb_;
  std::vector<Argument> arguments_;
  std::string help_;
};

}  // namespace

Error no_such_verb(const CLI::App& app, const std::string& word) {
  std::vector<std::string> verbs;
  for (const VerbSurface& verb : surface_of(app).verbs) verbs.push_back(verb.name);
  const std::string near = did_you_mean(word, verbs);
  return mistake(fmt::format("there is no verb `{}`", printable(word)),
                 near.empty() ? "`whimbrel --help` lists them" : near);
}

Error usage_error(const CLI::App& app, const CLI::ParseError& error) {
  const Surface all = surface_of(app);
  for (const CLI::App* verb : app.get_subcommands()) {  // the one that was said
    for (const VerbSurface& surface : all.verbs) {
      if (surface.name == verb->get_name()) return Reader(*verb, surface, all).read(error);
    }
    return mistake(printable(error.what(), 200), "`whimbrel --help` lists the verbs");
  }
  const std::vector<std::string> rest = app.remaining();
  if (!rest.empty())
    return mistake(fmt::format("`{}` is no option of whimbrel itself", printable(rest.front())),
                   "a verb comes first; `whimbrel --help` lists them");
  return mistake("no verb is said", "`whimbrel --help` lists them");
}

}  // namespace whimbrel::cli
