// Writes HTML and SVG. What is a text is escaped and what is a tag is a literal of the source, so
// that no value can become markup: there is no other way in. The output is well-formed XML as well.
#pragma once

#include <fmt/format.h>

#include <concepts>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace whimbrel {

class Html {
 public:
  // The name of a tag or an attribute: known when this is compiled, and nothing but a name.
  class Name {
   public:
    template <std::size_t N>
    consteval Name(const char (&name)[N]) : name_(name, N - 1) {  // NOLINT: a literal is a name
      for (const char c : name_) {
        const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '-' || c == ':';
        if (!good) throw "no name";
      }
    }
    constexpr std::string_view view() const { return name_; }

   private:
    std::string_view name_;
  };
  struct Attribute {
    Name name;
    std::string value;
  };
  using Attributes = std::vector<Attribute>;

  // A document with its head; the body is open when it returns.
  void begin(std::string_view title, std::string_view stylesheet);
  void open(Name tag, const Attributes& attributes = {});
  void close();
  void text(std::string_view text);
  // A sentence in which `this` is code.
  void sentence(std::string_view text);
  // An element that holds nothing but a text.
  void element(Name tag, std::string_view inside, const Attributes& attributes = {});
  // An element without content: `hr`, and the shapes of SVG.
  void empty(Name tag, const Attributes& attributes = {});
  template <std::invocable Inside>
  void within(Name tag, const Attributes& attributes, Inside&& inside) {
    open(tag, attributes);
    std::forward<Inside>(inside)();
    close();
  }
  // Closes what is open.
  std::string end() &&;

 private:
  void tag(Name name, const Attributes& attributes);

  std::string out_;
  std::vector<std::string_view> open_;
};

// What an attribute of a shape needs: two digits behind the point are enough for a screen.
std::string number(double value);

}  // namespace whimbrel
