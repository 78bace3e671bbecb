// The contract is all interfaces; this file makes sure that the header stands alone.
#include "store/store.h"
