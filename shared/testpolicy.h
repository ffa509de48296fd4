/* SPDX-License-Identifier: MIT */
/* For tests of the policy. */
#pragma once

#include "policy.h"

#include "unittest.h"

static inline struct record two_slots(enum slot_status a, enum slot_status b)
{
	struct record r;

	record_init(&r);
	r.slots[0].status = a;
	r.slots[1].status = b;
	for (int i = 0; i < 2; i++)
		if (r.slots[i].status == SLOT_TRIAL)
			r.slots[i].tries_left = r.slots[i].tries_granted = 2;
	return r;
}
