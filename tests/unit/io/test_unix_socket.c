/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[] = "/tmp/covey-unix-XXXXXX", path[64];

static int setup(void **state)
{
    (void)state;
    umask(077);
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/mqtt.sock", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static int listen_at(struct unix_socket *s, mode_t mode)
{
    return unix_socket_listen(s, &(struct unix_socket_conf){.path = path, .mode = mode, .backlog = 4});
}

static int connected(void)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(un.sun_path, path, strlen(path) + 1);
    int error = connect(fd, (struct sockaddr *)&un, sizeof un) == 0 ? 0 : errno;
    close(fd);
    return error;
}

static void it_listens_with_its_mode_whatever_the_umask(void **state)
{
    struct unix_socket s;
    struct stat st;
    (void)state;
    assert_int_equal(listen_at(&s, 0662), 0);
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0662);
    assert_int_equal(connected(), 0);
    close(s.fd);
    assert_int_equal(connected(), ECONNREFUSED);
    unix_socket_remove(&s, path);
    assert_int_equal(connected(), ENOENT);
}

static void the_file_of_a_dead_process_is_replaced(void **state)
{
    struct unix_socket dead, s;
    (void)state;
    assert_int_equal(listen_at(&dead, 0600), 0);
    close(dead.fd);
    assert_int_equal(listen_at(&s, 0600), 0);
    assert_int_equal(connected(), 0);
    if (dead.ino != s.ino) { /* a file system may give the number again */
        unix_socket_remove(&dead, path);
        assert_int_equal(connected(), 0);
    }
    close(s.fd);
}

static void that_of_a_living_one_is_not(void **state)
{
    struct unix_socket living, s;
    (void)state;
    assert_int_equal(listen_at(&living, 0600), 0);
    assert_int_equal(listen_at(&s, 0600), EADDRINUSE);
    assert_int_equal(s.fd, -1);
    assert_int_equal(connected(), 0);
    assert_string_equal(unix_socket_fault(EADDRINUSE), "a process listens there already");
    close(living.fd);
}

/* Also where the other has no time to accept, and where it speaks another kind of socket. */
static void a_living_one_may_be_busy(void **state)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct unix_socket s;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), queued[8];
    (void)state;
    memcpy(un.sun_path, path, strlen(path) + 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
    assert_int_equal(listen(fd, 0), 0);
    for (int i = 0; i < 8; i++) {
        queued[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(queued[i], (struct sockaddr *)&un, sizeof un);
    }
    assert_int_equal(listen_at(&s, 0600), EADDRINUSE);
    for (int i = 0; i < 8; i++)
        close(queued[i]);
    close(fd);
    unlink(path);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
    assert_int_equal(listen_at(&s, 0600), EADDRINUSE);
    close(fd);
}

static void what_is_no_socket_is_left_alone(void **state)
{
    struct unix_socket s;
    struct stat st;
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    (void)state;
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
    assert_int_equal(listen_at(&s, 0600), EEXIST);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 1);
    unlink(path);
    assert_int_equal(symlink("/nowhere", path), 0);
    assert_int_equal(listen_at(&s, 0600), EEXIST);
}

static void a_file_that_another_has_put_there_stays(void **state)
{
    struct unix_socket s;
    (void)state;
    assert_int_equal(listen_at(&s, 0600), 0);
    unlink(path);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    unix_socket_remove(&s, path);
    assert_int_equal(access(path, F_OK), 0);
    close(fd);
    close(s.fd);
}

static void a_path_has_an_end(void **state)
{
    char longest[109] = "/", fits[108] = "/";
    struct unix_socket s;
    (void)state;
    memset(longest + 1, 'x', 107);
    memset(fits + 1, 'x', 106);
    assert_true(unix_socket_path_fits(fits));
    assert_false(unix_socket_path_fits(longest));
    assert_int_equal(unix_socket_listen(&s, &(struct unix_socket_conf){.path = longest, .mode = 0600}),
                     ENAMETOOLONG);
}

static void groups_have_names_and_numbers(void **state)
{
    gid_t g = 1;
    (void)state;
    assert_true(unix_socket_group("root", &g));
    assert_int_equal(g, 0);
    assert_true(unix_socket_group("4711", &g));
    assert_int_equal(g, 4711);
    assert_false(unix_socket_group("no such group", &g));
    assert_false(unix_socket_group("4294967295", &g));
    assert_false(unix_socket_group("-1", &g));
    struct unix_socket s;
    assert_int_equal(
        unix_socket_listen(&s, &(struct unix_socket_conf){.path = path, .group = "no such group"}), ESRCH);
    assert_int_equal(access(path, F_OK), -1);
}

static void a_folder_that_is_not_there(void **state)
{
    struct unix_socket s;
    (void)state;
    assert_int_equal(
        unix_socket_listen(&s, &(struct unix_socket_conf){.path = "/nowhere/at/all", .mode = 0600}), ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(it_listens_with_its_mode_whatever_the_umask),
        T(the_file_of_a_dead_process_is_replaced),
        T(that_of_a_living_one_is_not),
        T(a_living_one_may_be_busy),
        T(what_is_no_socket_is_left_alone),
        T(a_file_that_another_has_put_there_stays),
        T(a_path_has_an_end),
        T(groups_have_names_and_numbers),
        T(a_folder_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
