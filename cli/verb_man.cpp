// The manual page, made from the command line itself. Hidden from `--help`: docs/man/whimbrel.1 is
// what it prints, and a test holds the two against each other.
#include <fmt/format.h>

#include "base/text.h"
#include "surface.h"
#include "verbs.h"

namespace whimbrel::cli {

namespace {

constexpr const char* dated = "2026-11-21";

// A line of text must not begin as a request, and a hyphen of an option is no hyphenation.
std::string text(const std::string& plain) {
  std::string out;
  bool code = false;
  for (const char c : plain) {
    if (c == '`') {
      out += code ? "\\fR" : "\\fB";
      code = !code;
    } else if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  const bool is_request = !out.empty() && (out.front() == '.' || out.front() == '\'');
  return is_request ? "\\&" + out : out;
}

std::string value_name(const Argument& argument) {
  switch (argument.takes) {
    case Takes::words:
      return join(argument.words, "|");
    case Takes::plan:
      return "PLAN";
    case Takes::file:
      return "FILE";
    case Takes::folder:
      return "FOLDER";
    case Takes::text:
      return ascii_upper(argument.name.substr(argument.name.find_first_not_of('-')));
    case Takes::nothing:
      break;
  }
  return "";
}

std::string flag_entry(const Argument& flag) {
  const std::string value = value_name(flag);
  return fmt::format(".TP\n\\fB{}\\fR{}\n{}\n", text(flag.name),
                     value.empty() ? "" : " \\fI" + text(value) + "\\fR", text(flag.help));
}

std::string verb_section(const VerbSurface& verb) {
  std::string synopsis = "whimbrel " + verb.name;
  for (const Argument& positional : verb.positionals) {
    const std::string name =
        positional.takes == Takes::words ? value_name(positional) : ascii_upper(positional.name);
    synopsis += positional.required ? " " + name : " [" + name + "]";
  }
  std::string page =
      fmt::format(".SS {}\n.B {}\n.PP\n{}.\n", text(verb.name), text(synopsis), text(verb.help));
  for (const Argument& flag : verb.flags) {
    if (flag.name != "--help") page += flag_entry(flag);
  }
  if (verb.examples.empty()) return page;
  return page + ".PP\n.EX\n" + text(verb.examples) + "\n.EE\n";
}

constexpr const char* head = R"(.TH WHIMBREL 1 {0} "whimbrel {1}" "User Commands"
.SH NAME
whimbrel \- moves live data, and can go back at every moment
.SH SYNOPSIS
.B whimbrel
.I VERB
.RI [ PLAN ]
.RI [ options ]
.SH DESCRIPTION
A plan is one YAML file that says what is to move and how it is to look there.
whimbrel shows what would happen, takes a backup, copies in resumable chunks
while the application goes on writing, compares every row, switches over, and
keeps the old side current, so that there is a way back after the switch, too.
.PP
Progress goes to stderr, results to stdout.
.SH VERBS
)";

constexpr const char* tail = R"(.SH EXIT STATUS
.TP
.B 0
done, or already done
.TP
.B 1
data differ, a criterion is not met, or it failed; the message says what state it is in
.TP
.B 2
bad usage or a bad plan
.TP
.B 3
refused before anything changed
.TP
.B 4
failed and rolled back
.TP
.B 130
interrupted, resumable
.SH FILES
.TP
.I .whimbrel/MIGRATION/
The state folder beside the plan: the journal, the documents that verbs write, and the log.
.SH ENVIRONMENT
.TP
.B NO_COLOR
plain text, as with \fB\-\-no\-color\fR
.PP
A plan's \fB${NAME}\fR takes its value from \fB\-\-var\fR, then from a default under
\fBvars:\fR, then from the environment.
)";

}  // namespace

int man(const CLI::App& app, const std::string& version) {
  const Surface surface = surface_of(app);
  std::string page = fmt::format(head, dated, version);
  for (const VerbSurface& verb : surface.verbs) page += verb_section(verb);
  page += ".SH OPTIONS ON EVERY VERB\n";
  for (const Argument& flag : surface.common) page += flag_entry(flag);
  std::printf("%s%s", page.c_str(), tail);
  return done;
}

}  // namespace whimbrel::cli
