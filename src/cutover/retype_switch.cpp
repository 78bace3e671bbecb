// New tables take the names of the old ones, and what depends on them.
#include <fmt/format.h>

#include "base/text.h"
#include "cutover/switches.h"

namespace whimbrel {

namespace {

class RetypeSwitchOn final : public Switch {
 public:
  explicit RetypeSwitchOn(const RetypeSwitch& plan) : plan_(plan) {}

  // The store itself remembers what it exchanges.
  Result<std::string> found() override { return std::string("{}"); }
  Result<SwitchState> state() override {
    ASSIGN_OR_RETURN(const std::optional<bool> swapped,
                     plan_.store->retyping()->swapped(plan_.tables));
    if (!swapped) return SwitchState::unknown;
    return *swapped ? SwitchState::on : SwitchState::off;
  }
  Status flip() override { return plan_.store->retyping()->swap(plan_.tables, false); }
  Status put_back(const std::string&) override {
    return plan_.store->retyping()->swap(plan_.tables, true);
  }
  bool can_be_told_again() const override { return true; }
  std::string describe() const override {
    return fmt::format("new tables take the names of {}", join(plan_.tables, ", "));
  }

 private:
  const RetypeSwitch& plan_;
};

}  // namespace

std::unique_ptr<Switch> make_retype_switch(const RetypeSwitch& plan) {
  return std::make_unique<RetypeSwitchOn>(plan);
}

}  // namespace whimbrel
