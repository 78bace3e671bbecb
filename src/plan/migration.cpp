#include "plan/migration.h"
