#include "report/html.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace whimbrel {

namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";

// The length of the UTF-8 character at the begin; 0 where there is none.
std::size_t character_length(std::string_view text) {
  const std::size_t longest = std::min<std::size_t>(text.size(), 4);
  for (std::size_t length = 1; length <= longest; ++length) {
    if (is_utf8(text.substr(0, length))) return length;
  }
  return 0;
}

// Behind these a line may end without a space being seen.
bool is_block(std::string_view tag) {
  constexpr std::string_view inline_tags[] = {"a",    "abbr",   "b",    "code",  "em",
                                              "span", "strong", "text", "tspan", "time"};
  return std::ranges::find(inline_tags, tag) == std::end(inline_tags);
}

// Neither XML nor HTML can hold a control character, nor U+FFFE and U+FFFF.
bool can_be_written(std::string_view character) {
  if (character.size() == 1) {
    const auto byte = static_cast<unsigned char>(character[0]);
    return byte >= 0x20 ? byte != 0x7F : byte == '\n' || byte == '\t';
  }
  if (character.size() == 2 && character[0] == '\xC2') {
    return static_cast<unsigned char>(character[1]) >= 0xA0;
  }
  return character != "\xEF\xBF\xBE" && character != "\xEF\xBF\xBF";
}

void escape(std::string_view text, std::string& out) {
  while (!text.empty()) {
    const std::size_t length = character_length(text);
    const std::string_view character = text.substr(0, std::max<std::size_t>(length, 1));
    text.remove_prefix(character.size());
    if (length == 0 || !can_be_written(character)) {
      out += replacement;
    } else if (character == "&") {
      out += "&amp;";
    } else if (character == "<") {
      out += "&lt;";
    } else if (character == ">") {
      out += "&gt;";
    } else if (character == "\"") {
      out += "&quot;";
    } else if (character == "'") {
      out += "&#39;";
    } else {
      out += character;
    }
  }
}

}  // namespace

void Html::tag(Name name, const Attributes& attributes) {
  out_ += '<';
  out_ += name.view();
  for (const Attribute& attribute : attributes) {
    out_ += ' ';
    out_ += attribute.name.view();
    out_ += "=\"";
    escape(attribute.value, out_);
    out_ += '"';
  }
}

void Html::begin(std::string_view title, std::string_view stylesheet) {
  out_ = "<!DOCTYPE html>\n";
  open("html", {{"lang", "en"}});
  open("head");
  empty("meta", {{"charset", "utf-8"}});
  // The page loads nothing and runs nothing, whatever a value may hold.
  empty("meta", {{"http-equiv", "Content-Security-Policy"},
                 {"content",
                  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
                  "base-uri 'none'; form-action 'none'"}});
  empty("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}});
  empty("meta", {{"name", "color-scheme"}, {"content", "light dark"}});
  empty("meta", {{"name", "referrer"}, {"content", "no-referrer"}});
  empty("link", {{"rel", "icon"}, {"href", "data:,"}});
  element("title", title);
  element("style", stylesheet);
  close();
  open("body");
}

void Html::open(Name name, const Attributes& attributes) {
  tag(name, attributes);
  out_ += ">";
  open_.push_back(name.view());
}

void Html::close() {
  out_ += "</";
  out_ += open_.back();
  out_ += is_block(open_.back()) ? ">\n" : ">";
  open_.pop_back();
}

void Html::text(std::string_view text) { escape(text, out_); }

void Html::sentence(std::string_view text) {
  if (std::ranges::count(text, '`') % 2 != 0) return this->text(text);
  for (bool code = false;; code = !code) {
    const std::size_t end = text.find('`');
    if (code) {
      element("code", text.substr(0, end));
    } else {
      this->text(text.substr(0, end));
    }
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
}

void Html::element(Name name, std::string_view inside, const Attributes& attributes) {
  open(name, attributes);
  text(inside);
  close();
}

void Html::empty(Name name, const Attributes& attributes) {
  tag(name, attributes);
  out_ += "/>";
}

std::string Html::end() && {
  while (!open_.empty()) close();
  return std::move(out_);
}

std::string number(double value) {
  if (!std::isfinite(value)) return "0";
  std::string text = fmt::format("{:.2f}", value);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

}  // namespace whimbrel
