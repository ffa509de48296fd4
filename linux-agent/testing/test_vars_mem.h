/* SPDX-License-Identifier: MIT */
/*
 * EFI variables in memory, for tests: every write is logged as text, and the
 * power can be cut before the k-th.
 */
#pragma once

#include "io.h"
#include "vars.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MEM_MAX 64

struct mem_var {
	enum vars_guid guid;
	char name[32];
	uint8_t data[1024];
	size_t len;		/* 0: free */
	uint32_t attributes;
};

struct mem {
	struct mem_var vars[MEM_MAX];
	char log[1024];		/* "Boot0001 BootOrder -Boot0002" */
	int writes_left;	/* -1: no end */
	const char *unreadable;	/* reading this one fails with EX_IOERR */
	enum vars_append appends;	/* what every append comes to */
	bool appends_lie;	/* ... and keeps nothing */
};

static inline struct mem_var *mem_find(struct mem *mem, enum vars_guid guid, const char *name)
{
	for (size_t i = 0; i < MEM_MAX; i++)
		if (mem->vars[i].len && mem->vars[i].guid == guid &&
		    strcmp(mem->vars[i].name, name) == 0)
			return &mem->vars[i];
	return NULL;
}

/* Straight into the store: no log, no cut. */
static inline void mem_put(struct mem *mem, enum vars_guid guid, const char *name,
			   const void *data, size_t len, uint32_t attributes)
{
	struct mem_var *var = mem_find(mem, guid, name);

	for (size_t i = 0; !var && i < MEM_MAX; i++)
		if (!mem->vars[i].len)
			var = &mem->vars[i];
	if (!var || len > sizeof var->data)
		abort();
	var->guid = guid;
	(void)snprintf(var->name, sizeof var->name, "%s", name);
	memcpy(var->data, data, len);
	var->len = len;
	var->attributes = attributes;
}

static inline int mem_spend(struct mem *mem, const char *sign, const char *name,
			    struct err *err)
{
	size_t used = strlen(mem->log);

	if (mem->writes_left == 0)
		return err_set(err, EX_IOERR, "the power is gone");
	if (mem->writes_left > 0)
		mem->writes_left--;
	(void)snprintf(mem->log + used, sizeof mem->log - used, "%s%s%s", used ? " " : "",
		       sign, name);
	return 0;
}

static inline int mem_get(void *ctx, enum vars_guid guid, const char *name,
			  uint8_t **ret_data, size_t *ret_len, uint32_t *ret_attributes,
			  struct err *err)
{
	struct mem *mem = ctx;
	struct mem_var *var = mem_find(mem, guid, name);

	if (mem->unreadable && strcmp(name, mem->unreadable) == 0)
		return err_set(err, EX_IOERR, "unreadable");
	if (!var)
		return 1;
	*ret_data = malloc(var->len);
	if (!*ret_data)
		abort();
	memcpy(*ret_data, var->data, var->len);
	*ret_len = var->len;
	*ret_attributes = var->attributes;
	return 0;
}

static inline int mem_set(void *ctx, enum vars_guid guid, const char *name,
			  const uint8_t *data, size_t len, uint32_t attributes,
			  struct err *err)
{
	if (mem_spend(ctx, "", name, err) < 0)
		return -1;
	mem_put(ctx, guid, name, data, len, attributes);
	return 0;
}

static inline enum vars_append mem_append(void *ctx, enum vars_guid guid, const char *name,
					  const uint8_t *data, size_t len, size_t authentication,
					  struct err *err)
{
	struct mem *mem = ctx;
	struct mem_var *var = mem_find(mem, guid, name);
	uint8_t both[sizeof var->data];
	size_t have = var ? var->len : 0, more = len - authentication;

	if (mem_spend(mem, "+", name, err) < 0)
		return VARS_FAILED;
	if (mem->appends != VARS_APPENDED) {
		(void)err_set(err, EX_IOERR, "made to fail");
		return mem->appends;
	}
	if (mem->appends_lie)
		return VARS_APPENDED;
	if (have + more > sizeof both)
		abort();
	if (var)
		memcpy(both, var->data, have);
	memcpy(both + have, data + authentication, more);
	mem_put(mem, guid, name, both, have + more, VARS_SIGNED);
	return VARS_APPENDED;
}

static inline int mem_delete(void *ctx, enum vars_guid guid, const char *name,
			     struct err *err)
{
	struct mem_var *var = mem_find(ctx, guid, name);

	if (!var)
		return 1;
	if (mem_spend(ctx, "-", name, err) < 0)
		return -1;
	var->len = 0;
	return 0;
}

static inline int mem_list_boot(void *ctx, struct vars_name **ret_names, size_t *ret_count,
				struct err *err)
{
	struct mem *mem = ctx;
	struct vars_name *names = calloc(MEM_MAX, sizeof *names);

	(void)err;
	if (!names)
		abort();
	*ret_count = 0;
	for (size_t i = MEM_MAX; i-- > 0;)	/* backwards: no order is promised */
		if (mem->vars[i].len && mem->vars[i].guid == VARS_GLOBAL &&
		    strlen(mem->vars[i].name) == 8)
			memcpy(names[(*ret_count)++].text, mem->vars[i].name, 9);
	*ret_names = names;
	return 0;
}

static inline struct vars mem_vars(struct mem *mem)
{
	mem->writes_left = -1;
	return (struct vars){
		.ctx = mem, .get = mem_get, .set = mem_set, .append = mem_append, .delete = mem_delete,
		.list_boot = mem_list_boot,
	};
}
