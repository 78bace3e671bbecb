// Whoever a session works for: a person at a terminal, or a program.
#pragma once

#include <string>

#include "base/error.h"

namespace whimbrel {

class Host {
 public:
  virtual ~Host() = default;
  // Plan, stores and journal are open, and the work has not begun.
  virtual Status opened() = 0;
  // Before anything of the user's is changed; an error ends the verb.
  virtual Status confirm(const std::string& what) = 0;
  virtual void warn(const std::string& what, const std::string& hint) = 0;
  // A program that carries out guard_verb; "" when there is none, and holds go unguarded.
  virtual std::string guard_program() const { return ""; }
  // For a person to read while the verb is under way.
  virtual void say(const std::string& text) = 0;
};

}  // namespace whimbrel
