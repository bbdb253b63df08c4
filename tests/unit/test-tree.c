/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/tree.h"

#define N 2000u

typedef struct Item {
        int key;
        bool in;
        TreeNode node;
} Item;

static bool is_before(const TreeNode *a, const TreeNode *b) {
        return TREE_ENTRY(a, const Item, node)->key < TREE_ENTRY(b, const Item, node)->key;
}

static Item *item(TreeNode *n) {
        return n ? TREE_ENTRY(n, Item, node) : NULL;
}

/* All that are in it come, each once, in order; and from wherever one begins. */
static void check(TreeNode *root, Item *items) {
        TreeNode *n = tree_first(root);

        for (size_t i = 0; i < N; i++) {
                if (!items[i].in)
                        continue;
                assert_ptr_equal(item(n), &items[i]);
                n = tree_after(root, n, is_before);
        }
        assert_null(n);
}

static size_t depth(const TreeNode *n) {
        size_t left = n ? depth(n->left) : 0, right = n ? depth(n->right) : 0;

        return n ? 1 + (left > right ? left : right) : 0;
}

static uint32_t draw(uint32_t *state) {
        *state = *state * 1664525u + 1013904223u;
        return *state >> 8;
}

static void holds_what_came_and_has_not_left(void **state) {
        static Item items[N];
        TreeNode *root = NULL;
        uint32_t seed = 7;

        (void) state;
        for (size_t i = 0; i < N; i++)
                items[i].key = (int) i;
        assert_null(tree_first(root));
        for (unsigned round = 0; round < 20000; round++) {
                Item *one = &items[draw(&seed) % N];

                if (one->in)
                        tree_remove(&root, &one->node, is_before);
                else
                        tree_insert(&root, &one->node, is_before);
                one->in = !one->in;
                if (round % 500 == 0)
                        check(root, items);
        }
        check(root, items);
        for (size_t i = 0; i < N; i++)
                if (items[i].in)
                        tree_remove(&root, &items[i].node, is_before);
        assert_null(root);
}

static void after_one_that_is_not_in_it_comes_the_next(void **state) {
        Item items[] = { { .key = 1 }, { .key = 5 } }, three = { .key = 3 }, nine = { .key = 9 };
        TreeNode *root = NULL;

        (void) state;
        tree_insert(&root, &items[1].node, is_before);
        tree_insert(&root, &items[0].node, is_before);
        assert_ptr_equal(item(tree_after(root, &three.node, is_before)), &items[1]);
        assert_null(tree_after(root, &nine.node, is_before));
}

/* In order is how they come: IDs rise, and so do deadlines. */
static void stays_shallow_whatever_the_order(void **state) {
        static Item items[N];
        TreeNode *root = NULL;

        (void) state;
        for (size_t i = 0; i < N; i++) {
                items[i].key = (int) i;
                tree_insert(&root, &items[i].node, is_before);
        }
        /* 2 ln N = 15 in the mean of all; 60 is as good as never */
        assert_true(depth(root) < 60);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(holds_what_came_and_has_not_left),
                cmocka_unit_test(after_one_that_is_not_in_it_comes_the_next),
                cmocka_unit_test(stays_shallow_whatever_the_order),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
