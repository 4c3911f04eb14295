// SPDX-License-Identifier: GPL-2.0-only
/* What xlb.o is to `xlb load`, with a program that the verifier has little to do with. */
#include "maps.h"
#include "passes.h"
