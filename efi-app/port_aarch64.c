/* SPDX-License-Identifier: MIT */
#include "port.h"

bool port_read(uint16_t port, unsigned width, uint32_t *ret_value)
{
	(void)port;
	(void)width;
	(void)ret_value;
	return false;
}

bool port_write(uint16_t port, unsigned width, uint32_t value)
{
	(void)port;
	(void)width;
	(void)value;
	return false;
}
