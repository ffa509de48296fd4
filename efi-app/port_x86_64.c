/* SPDX-License-Identifier: MIT */
#include "port.h"

bool port_read(uint16_t port, unsigned width, uint32_t *ret_value)
{
	uint32_t value = 0;

	if (width == 8)
		__asm__ volatile("inb %w1, %b0" : "+a"(value) : "Nd"(port));
	else if (width == 16)
		__asm__ volatile("inw %w1, %w0" : "+a"(value) : "Nd"(port));
	else
		__asm__ volatile("inl %w1, %0" : "=a"(value) : "Nd"(port));
	*ret_value = value;
	return true;
}

bool port_write(uint16_t port, unsigned width, uint32_t value)
{
	if (width == 8)
		__asm__ volatile("outb %b0, %w1" ::"a"(value), "Nd"(port));
	else if (width == 16)
		__asm__ volatile("outw %w0, %w1" ::"a"(value), "Nd"(port));
	else
		__asm__ volatile("outl %0, %w1" ::"a"(value), "Nd"(port));
	return true;
}

bool registers_are_mapped(uint64_t address)
{
	(void)address;
	return true;
}
