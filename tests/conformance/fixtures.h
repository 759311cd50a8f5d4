/*
 * What the protocol's conformance suites call by name, beside the real tool. Test builds register
 * it (mcp_config.register_more); the product does not have it.
 */
#ifndef TESTS_CONFORMANCE_FIXTURES_H
#define TESTS_CONFORMANCE_FIXTURES_H

#include "mcp/registry.h"

void conformance_register(struct mcp_registry *registry, void *context);

/* Its parts. */
void conformance_add_tools(struct mcp_registry *registry);
void conformance_add_asking_tools(struct mcp_registry *registry);
void conformance_add_input_tools(struct mcp_registry *registry);
void conformance_add_resources(struct mcp_registry *registry);
void conformance_add_prompts(struct mcp_registry *registry);

/* A picture of one red point (PNG), and no sound at all (WAV). */
struct span conformance_png(void);
struct span conformance_wav(void);

/* Answers a tool's call with one piece of text. */
void conformance_answer(struct mcp_call *call, const char *text);

#define CONFORMANCE_NO_ARGUMENTS "{\"type\":\"object\",\"properties\":{}}"

#endif
