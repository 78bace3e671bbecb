// `completion SHELL`: a script for the user's shell, made from the command line itself.
#include <fmt/format.h>

#include "base/text.h"
#include "surface.h"
#include "verbs.h"

namespace whimbrel::cli {

namespace {

std::vector<Argument> all_flags(const Surface& surface, const VerbSurface& verb) {
  std::vector<Argument> all = verb.flags;
  all.insert(all.end(), surface.common.begin(), surface.common.end());
  return all;
}

std::string replaced(const std::string& text, const std::string& from, const std::string& to) {
  std::string out;
  std::size_t at = 0;
  for (std::size_t hit = text.find(from); hit != std::string::npos; hit = text.find(from, at)) {
    out += text.substr(at, hit - at) + to;
    at = hit + from.size();
  }
  return out + text.substr(at);
}

// Within single quotes of bash and zsh.
std::string single_quoted(const std::string& text) {
  return "'" + replaced(text, "'", "'\\''") + "'";
}

// ---------------------------------------------------------------- bash

std::string bash_value(const Argument& argument) {
  switch (argument.takes) {
    case Takes::words:
      return fmt::format("words={}", single_quoted(join(argument.words, " ")));
    case Takes::plan:
      return "kind=plan";
    case Takes::file:
      return "kind=file";
    case Takes::folder:
      return "kind=folder";
    case Takes::nothing:
    case Takes::text:
      break;
  }
  return "kind=text";
}

std::string bash_verb(const Surface& surface, const VerbSurface& verb) {
  std::vector<std::string> names;
  std::string valued = " ";
  for (const Argument& flag : all_flags(surface, verb)) {
    names.push_back(flag.name);
    if (flag.takes != Takes::nothing) valued += flag.name + " ";
  }
  return fmt::format("    {}) flags={} valued={} ;;\n", verb.name, single_quoted(join(names, " ")),
                     single_quoted(valued));
}

// What may follow a flag, or stand in a place.
std::string bash_values(const Surface& surface) {
  std::string values;
  const auto add = [&](const std::string& pattern, const Argument& argument) {
    values += fmt::format("    {}) {} ;;\n", pattern, bash_value(argument));
  };
  for (const Argument& flag : surface.common) {
    if (flag.takes != Takes::nothing) add("*\" " + flag.name + "\"", flag);
  }
  for (const VerbSurface& verb : surface.verbs) {
    for (const Argument& flag : verb.flags) {
      if (flag.takes != Takes::nothing) add(single_quoted(verb.name + " " + flag.name), flag);
    }
  }
  return values;
}

std::string bash_places(const Surface& surface) {
  std::string places;
  for (const VerbSurface& verb : surface.verbs) {
    for (std::size_t i = 0; i < verb.positionals.size(); ++i) {
      const Argument& argument = verb.positionals[i];
      // Stores and places are files more often than not.
      places += fmt::format("      '{} {}') {} ;;\n", verb.name, i,
                            argument.takes == Takes::text ? "kind=file" : bash_value(argument));
    }
  }
  return places;
}

std::string bash_script(const Surface& surface) {
  std::string verbs;
  std::string names;
  for (const VerbSurface& verb : surface.verbs) {
    names += (names.empty() ? "" : " ") + verb.name;
    verbs += bash_verb(surface, verb);
  }
  std::string script =
      R"(# bash completion for whimbrel: source it, or put it where bash looks for completions.
_whimbrel() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local verb='' flags='' valued='' words='' kind='' i=1 place=0
  COMPREPLY=()
  while ((i < COMP_CWORD)) && [[ ${COMP_WORDS[i]} == -* ]]; do ((i++)); done
  if ((i >= COMP_CWORD)); then
    mapfile -t COMPREPLY < <(compgen -W '@NAMES@ --help --version' -- "$current")
    return
  fi
  verb=${COMP_WORDS[i]}
  case $verb in
@VERBS@    *) return ;;
  esac
  for ((i++; i < COMP_CWORD; i++)); do
    if [[ ${COMP_WORDS[i]} != -* ]]; then
      ((place++))
    elif [[ $valued == *" ${COMP_WORDS[i]} "* ]]; then
      ((i++))
    fi
  done
  case "$verb $previous" in
@VALUES@  esac
  if [[ -z $words$kind ]]; then
    case "$verb $place" in
@PLACES@    esac
  fi
  if [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$current")
  elif [[ -n $words ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  elif [[ $kind == plan ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(
      compgen -d -- "$current"
      compgen -f -X '!*.yaml' -- "$current"
      compgen -f -X '!*.yml' -- "$current"
    )
  elif [[ $kind == file ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  elif [[ $kind == folder ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -d -- "$current")
  fi
}
complete -F _whimbrel whimbrel
)";
  script = replaced(replaced(script, "@NAMES@", names), "@VERBS@", verbs);
  script = replaced(script, "@VALUES@", bash_values(surface));
  return replaced(script, "@PLACES@", bash_places(surface));
}

// ---------------------------------------------------------------- zsh

std::string zsh_action(const Argument& argument) {
  switch (argument.takes) {
    case Takes::words:
      return "(" + join(argument.words, " ") + ")";
    case Takes::plan:
      return "_files -g \"*.(yaml|yml)(-.)\"";
    case Takes::file:
      return "_files";
    case Takes::folder:
      return "_files -/";
    case Takes::nothing:
    case Takes::text:
      break;
  }
  return " ";
}

// Within `[…]` and between colons of _arguments.
std::string zsh_text(const std::string& text) {
  std::string out = text;
  for (const char* special : {"\\", "[", "]", ":"}) {
    out = replaced(out, special, std::string("\\") + special);
  }
  return out;
}

std::string zsh_flag(const Argument& flag) {
  const bool again = flag.name == "--var";
  std::string spec = fmt::format("{}{}[{}]", again ? "*" : "", flag.name, zsh_text(flag.help));
  if (flag.takes != Takes::nothing) {
    spec += fmt::format(":{}:{}", flag.name.substr(2), zsh_action(flag));
  }
  return single_quoted(spec);
}

std::string zsh_verb(const Surface& surface, const VerbSurface& verb) {
  std::string specs;
  int place = 0;
  for (const Argument& positional : verb.positionals) {
    const std::string action = positional.takes == Takes::text ? "_files" : zsh_action(positional);
    specs +=
        fmt::format(" \\\n        {}",
                    single_quoted(fmt::format("{}{}:{}:{}", ++place, positional.required ? "" : ":",
                                              zsh_text(positional.name), action)));
  }
  for (const Argument& flag : all_flags(surface, verb)) {
    specs += " \\\n        " + zsh_flag(flag);
  }
  return fmt::format("    {})\n      _arguments{}\n      ;;\n", verb.name, specs);
}

std::string zsh_script(const Surface& surface) {
  std::string names;
  std::string verbs;
  for (const VerbSurface& verb : surface.verbs) {
    names += fmt::format("    {}\n", single_quoted(verb.name + ":" + verb.help));
    verbs += zsh_verb(surface, verb);
  }
  const std::string script = R"(#compdef whimbrel
# zsh completion for whimbrel: put it as _whimbrel into a folder of $fpath.
_whimbrel() {
  local -a verbs
  verbs=(
@NAMES@  )
  if ((CURRENT == 2)); then
    _describe -t verbs verb verbs
    return
  fi
  local verb=$words[2]
  shift words
  ((CURRENT--))
  case $verb in
@VERBS@  esac
}
if [[ $funcstack[1] == _whimbrel ]]; then
  _whimbrel "$@"
else
  compdef _whimbrel whimbrel
fi
)";
  return replaced(replaced(script, "@NAMES@", names), "@VERBS@", verbs);
}

// ---------------------------------------------------------------- fish

std::string fish_text(const std::string& text) {
  return "'" + replaced(replaced(text, "\\", "\\\\"), "'", "\\'") + "'";
}

std::string fish_value(const Argument& argument) {
  switch (argument.takes) {
    case Takes::words:
      return fmt::format(" -x -a {}", fish_text(join(argument.words, " ")));
    case Takes::plan:
      return " -x -a '(__fish_complete_suffix .yaml)'";
    case Takes::folder:
      return " -x -a '(__fish_complete_directories)'";
    case Takes::file:
      return " -r -F";
    case Takes::text:
      return " -x";
    case Takes::nothing:
      break;
  }
  return "";
}

std::string fish_script(const Surface& surface) {
  std::string script =
      "# fish completion for whimbrel: put it into a folder of $fish_complete_path.\n"
      "complete -c whimbrel -f\n";
  for (const VerbSurface& verb : surface.verbs) {
    script += fmt::format("complete -c whimbrel -n __fish_use_subcommand -a {} -d {}\n", verb.name,
                          fish_text(verb.help));
    const std::string when = fmt::format("-n '__fish_seen_subcommand_from {}'", verb.name);
    std::string taken;  // words of a place before have been said
    for (const Argument& positional : verb.positionals) {
      const bool is_text = positional.takes == Takes::text;
      const std::string words = join(positional.words, " ");
      const std::string here =
          words.empty() && taken.empty()
              ? when
              : fmt::format(
                    "-n '__fish_seen_subcommand_from {}; and {}__fish_seen_subcommand_from {}'",
                    verb.name, words.empty() ? "" : "not ", words.empty() ? taken : words);
      script += fmt::format("complete -c whimbrel {}{}\n", here,
                            is_text ? " -F" : fish_value(positional));
      taken = words;
    }
    for (const Argument& flag : all_flags(surface, verb)) {
      script += fmt::format("complete -c whimbrel {} -l {} -d {}{}\n", when, flag.name.substr(2),
                            fish_text(flag.help), fish_value(flag));
    }
  }
  return script;
}

}  // namespace

int completion(const Options& options, const CLI::App& app) {
  const Surface surface = surface_of(app);
  const std::string script = options.shell == "bash"  ? bash_script(surface)
                             : options.shell == "zsh" ? zsh_script(surface)
                                                      : fish_script(surface);
  std::printf("%s", script.c_str());
  return done;
}

}  // namespace whimbrel::cli
