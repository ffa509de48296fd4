/* SPDX-License-Identifier: MIT */
#include "hasher.h"

#include "digest.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

enum { WAITING_MAX = 8 };

struct hasher {
	EVP_MD_CTX *ctx;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t put, done;	/* pieces; those between are in the ring */
	bool end, is_joined, failed;
	struct piece {
		size_t len;
		uint8_t bytes[HASHER_PIECE];
	} ring[WAITING_MAX];
};

static const struct piece *piece_next(struct hasher *h)
{
	const struct piece *piece = NULL;

	(void)pthread_mutex_lock(&h->lock);
	while (h->done == h->put && !h->end)
		(void)pthread_cond_wait(&h->changed, &h->lock);
	if (h->done < h->put)
		piece = &h->ring[h->done % WAITING_MAX];
	(void)pthread_mutex_unlock(&h->lock);
	return piece;
}

static void *run(void *arg)
{
	struct hasher *h = arg;
	const struct piece *piece;

	while ((piece = piece_next(h))) {
		if (!EVP_DigestUpdate(h->ctx, piece->bytes, piece->len))
			h->failed = true;
		(void)pthread_mutex_lock(&h->lock);
		h->done++;
		(void)pthread_cond_signal(&h->changed);
		(void)pthread_mutex_unlock(&h->lock);
	}
	return NULL;
}

int hasher_open(struct hasher **ret_hasher)
{
	struct hasher *h = calloc(1, sizeof *h);
	int error = ENOMEM;

	if (h)
		h->ctx = EVP_MD_CTX_new();
	if (h && h->ctx && EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL)) {
		(void)pthread_mutex_init(&h->lock, NULL);
		(void)pthread_cond_init(&h->changed, NULL);
		error = pthread_create(&h->thread, NULL, run, h);
	}
	if (error == 0) {
		*ret_hasher = h;
		return 0;
	}
	if (h)
		EVP_MD_CTX_free(h->ctx);
	free(h);
	errno = error;
	return -1;
}

uint8_t *hasher_buffer(struct hasher *h)
{
	(void)pthread_mutex_lock(&h->lock);
	while (h->put - h->done == WAITING_MAX)
		(void)pthread_cond_wait(&h->changed, &h->lock);
	(void)pthread_mutex_unlock(&h->lock);
	return h->ring[h->put % WAITING_MAX].bytes;
}

void hasher_put(struct hasher *h, size_t len)
{
	h->ring[h->put % WAITING_MAX].len = len;
	(void)pthread_mutex_lock(&h->lock);
	h->put++;
	(void)pthread_cond_signal(&h->changed);
	(void)pthread_mutex_unlock(&h->lock);
}

static void join(struct hasher *h)
{
	if (h->is_joined)
		return;
	(void)pthread_mutex_lock(&h->lock);
	h->end = true;
	(void)pthread_cond_signal(&h->changed);
	(void)pthread_mutex_unlock(&h->lock);
	(void)pthread_join(h->thread, NULL);
	h->is_joined = true;
}

int hasher_finish(struct hasher *h, uint8_t ret_sha256[32])
{
	join(h);
	if (!h->failed && EVP_DigestFinal_ex(h->ctx, ret_sha256, NULL))
		return 0;
	errno = ENOMEM;
	return -1;
}

void hasher_close(struct hasher *h)
{
	if (!h)
		return;
	join(h);
	(void)pthread_mutex_destroy(&h->lock);
	(void)pthread_cond_destroy(&h->changed);
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

void hasher_closep(struct hasher **hasher)
{
	hasher_close(*hasher);
}
