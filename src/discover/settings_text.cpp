#include "discover/settings_text.h"

#include <fmt/format.h>

#include "base/text.h"
#include "discover/plan_text.h"
#include "plan/print.h"

namespace whimbrel {

std::string stores_text(const std::vector<NamedUrl>& stores, bool uses_dollar) {
  std::string variables;
  std::string lines;
  for (const NamedUrl& store : stores) {
    const WrittenUrl written = written_url(store);
    const auto preset = yaml_text(written.preset);
    if (written.variable.empty()) {
      lines += fmt::format("  {}: \"{}\"\n", store.alias, written.text);
      continue;
    }
    if (written.preset.empty() || !preset) {
      lines += comment(
          "  ", fmt::format("Say `--var {0}=…`, or set {0} in the environment.", written.variable));
    } else {
      variables += fmt::format("  {}: {{default: {}}}\n", written.variable, *preset);
    }
    lines += fmt::format("  {}: \"{}\"\n", store.alias, written.text);
  }
  if (uses_dollar) {
    variables += fmt::format("  {}: {{default: \"$\"}}  # a name has ${{ in it\n", dollar_variable);
  }
  std::string text;
  if (!variables.empty()) {
    text +=
        "vars:  # paths are relative to this file; `--var NAME=VALUE` says another\n" + variables;
  }
  return text + "stores:\n" + lines;
}

std::string settings_text(const StarterSettings& of) {
  std::string text;
  if (of.can_link && of.against_dual.empty()) {
    text += comment("",
                    "Both tables stay equal inside the application's own transactions, in "
                    "both directions; `capture` notes keys instead and carries them over.");
    text += "sync: dual\n";
  } else {
    text += comment("", of.can_link ? "Keys that are written meanwhile are noted and carried over. "
                                      "`dual` would keep both sides equal without a hold, but: " +
                                          of.against_dual + "."
                                    : "Keys that are written meanwhile are noted and carried over; "
                                      "`dual` is for two tables of one store.");
    text += "sync: capture\n";
  }
  text += comment("", "Below the state folder; `backup: none` does without.");
  text += "backup: {of: [source], to: \"file:backup\"}\ncutover:\n";
  text += "  start: manual  # `run` stops when all is compared; `whimbrel cutover` switches\n";
  if (of.holds) {
    text += "  max_hold: 1s   # writers wait no longer than this\n";
    text += comment("  ", "How the application learns of it, for instance by a row or a command:");
    text += fmt::format(
        "  # switches: [{{row: {}/{}, key: {{name: use_new}}, set: {{enabled: 1}}, "
        "create: true}}]\n",
        of.alias, of.flags);
  } else {
    text += comment("  ",
                    "Nothing here keeps the application's writes out by itself. Either it writes "
                    "on through the switch, and what it wrote to both sides is settled by "
                    "`conflicts:`; or the plan says how it is told to wait, for instance:");
    text += "  #   hold: [{env_file: app.env, set: {READ_ONLY: \"yes\"}}]\n";
    text += "  hold: none\n";
    text += comment("  ", "How the application learns of it, for instance by its environment:");
    text += "  # switches: [{env_file: app.env, set: {USE_NEW: \"yes\"}}]\n";
  }
  text += comment("",
                  "The way back stays open at least so long; then `finish` ends it and keeps "
                  "the old tables.");
  return text + "finish: {after: 7d}\n";
}

WrittenUrl written_url(const NamedUrl& store) {
  const std::string& url = store.url;
  const std::size_t colon = url.find(':');
  const bool is_plain = url.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-", colon + 1) ==
                        std::string::npos;
  if (store.is_a_service && is_plain) return {url, "", ""};
  const bool is_path = colon != std::string::npos && url.find("://") == std::string::npos &&
                       url.find_first_of("@?") == std::string::npos;
  WrittenUrl out;
  std::string name = ascii_upper(store.alias);
  if (!is_path) {
    out.variable = name + "_URL";
    out.text = "${" + out.variable + "}";
    return out;
  }
  out.variable = name == "DB" ? name : name + "_DB";
  out.text = url.substr(0, colon + 1) + "${" + out.variable + "}";
  out.preset = url.substr(colon + 1);
  return out;
}

std::string migration_name_from(const std::string& text) {
  std::string name;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.';
    if (plain) {
      name += c;
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
  }
  while (!name.empty() && (name.back() == '-' || name.back() == '.')) name.pop_back();
  const std::size_t begin = name.find_first_not_of(".-");
  return begin == std::string::npos ? "migration" : name.substr(begin);
}

}  // namespace whimbrel
