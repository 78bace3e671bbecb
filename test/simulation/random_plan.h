// A plan nobody would write: any mix of what plans may say, drawn from the seed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "application.h"
#include "faulty_store.h"
#include "plan/migration.h"

namespace whimbrel::simulation {

struct RandomPlan {
  Migration migration;
  std::shared_ptr<MemoryStore> old_side;  // the stores themselves, for the application
  std::shared_ptr<MemoryStore> new_side;  // may be the same one
  std::shared_ptr<FaultyStore> source;    // and as the engine sees them
  std::shared_ptr<FaultyStore> target;
  std::vector<Page> pages;
  int switches = 1;

  std::string describe() const;
};

// `in_a_window`: `sync: none`; `raises_capacity`: for the copy. A tenth of all seeds is of each
// kind.
RandomPlan random_plan(Random& random, SimulatedClock& clock, Faults& faults, bool in_a_window,
                       bool raises_capacity);

}  // namespace whimbrel::simulation
