/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_CONFIG_KEYS_LISTENERS_H
#define COVEY_APP_CONFIG_KEYS_LISTENERS_H

/* Rows of config_keys.c that kinds of listeners share; its macros and lists of words are used here. */

/* clang-format off */

/* What every listener has; k is "listeners.tcp.<name>." and so on. */
#define COMMON_KEYS(k)                                                                                       \
    LKEY(k "max_connections", INT, RELOAD | INF, max_connections, "infinity", 1, 100000000, NULL,            \
         "connections at one time; further ones are closed at once"),                                        \
    LKEY(k "max_conn_rate", RATE, RELOAD | INF, max_conn_rate, "infinity", 1, 10000000, NULL,                \
         "new connections a second; further ones wait in the backlog"),                                      \
    LKEY(k "messages_rate", RATE, RELOAD | INF, messages_rate, "infinity", 1, 100000000, NULL,                \
         "PUBLISH packets a second of each client; one that sends faster is read more slowly"),              \
    LKEY(k "bytes_rate", RATE, RELOAD | INF | BYTES, bytes_rate, "infinity", 1, TB, NULL,                     \
         "bytes a second of each client, the same way"),                                                     \
    LKEY(k "max_packet_size", SIZE, RELOAD | AUTO, max_packet_size, "auto", 64, 256 * MB, NULL,              \
         "largest MQTT packet; auto is mqtt.max_packet_size"),                                               \
    LKEY(k "mountpoint", STRING, RELOAD, mountpoint, "", 0, 1024, NULL,                                     \
         "prefix of all topics of its clients, such as tenant/${clientid}/, which they do not see; empty is none"), \
    LKEY(k "allow_anonymous", BOOL, RELOAD | AUTO, allow_anonymous, "auto", 0, 0, NULL,                      \
         "let in clients that no authentication has checked; auto is mqtt.allow_anonymous"),                 \
    LKEY(k "authentication", LIST, RELOAD, authentication, "[auto]", 0, 8, NULL,                                  \
         "methods that check clients, in their order: certificate, psk, jwt, password_file, http; auto is those that are configured")

/* What those at an IP address have. */
#define LISTENER_KEYS(k, bind_)                                                                              \
    LKEY(k "bind", ADDR, REQUIRED, bind, bind_, 1, 65535, NULL,                                              \
         "address and port to listen on; a port alone means every IPv4 address of this machine"),            \
    COMMON_KEYS(k),                                                                                          \
    LKEY(k "access_rules", LIST, RELOAD, access_rules, "[]", 0, 1000, NULL,                                       \
         "who may connect, such as [\"allow 10.0.0.0/8\", \"deny all\"]: the first rule that fits decides, and where none fits the address is allowed"), \
    LKEY(k "proxy_protocol", BOOL, RELOAD, proxy_protocol, "false", 0, 0, NULL,                                   \
         "connections come from proxies and begin with a header of the PROXY protocol, version 1 or 2, that names the client"), \
    LKEY(k "proxy_protocol_trusted", LIST, RELOAD, proxy_protocol_trusted, "[]", 0, 1000, NULL,                   \
         "addresses and networks of these proxies, or all; others cannot connect"),                          \
    LKEY(k "proxy_protocol_timeout", DURATION, RELOAD | SECONDS, proxy_protocol_timeout_ms, "3s", 100, MS_H, NULL,    \
         "time for the header of the PROXY protocol to come"),                                               \
    LKEY(k "tcp_options.backlog", INT, 0, backlog, "1024", 1, 65535, NULL,                                   \
         "connections that may wait to be accepted"),                                                        \
    LKEY(k "tcp_options.nodelay", BOOL, 0, nodelay, "true", 0, 0, NULL,                                      \
         "send small packets at once (TCP_NODELAY)")

#define UNIX_KEYS(k)                                                                                         \
    LKEY(k "enable", BOOL, AUTO, enable, "auto", 0, 0, NULL,                                                 \
         "whether to listen; auto is true when bind is set"),                                                \
    LKEY(k "bind", PATH, 0, path, "", 0, 0, NULL,                                                            \
         "path of the Unix socket; the folder must be there"),                                               \
    LKEY(k "mode", STRING, 0, mode_text, "0660", 1, 4, NULL,                                                 \
         "permissions of its file, as for chmod: who may write to it may connect"),                          \
    LKEY(k "group", STRING, 0, group, "", 0, 64, NULL,                                                       \
         "group of its file; empty is that of the process"),                                                 \
    COMMON_KEYS(k),                                                                                          \
    LKEY(k "backlog", INT, 0, backlog, "1024", 1, 65535, NULL,                                               \
         "connections that may wait to be accepted")

#define SSL_KEYS(k)                                                                                          \
    LKEY(k "ssl_options.certfile", PATH, RELOAD, ssl.certfile, "", 0, 0, NULL,                                    \
         "PEM file with the certificate and its chain"),                                                     \
    LKEY(k "ssl_options.keyfile", PATH, RELOAD, ssl.keyfile, "", 0, 0, NULL,                                      \
         "PEM file with the private key of the certificate"),                                                \
    LKEY(k "ssl_options.cacertfile", PATH, RELOAD, ssl.cacertfile, "", 0, 0, NULL,                                \
         "PEM file with the authorities that sign client certificates"),                                     \
    LKEY(k "ssl_options.versions", SET, RELOAD, ssl.versions, "[tlsv1.2, tlsv1.3]", 0, 0, tls_versions,           \
         "TLS versions to offer"),                                                                           \
    LKEY(k "ssl_options.ciphers", LIST, RELOAD, ssl.ciphers, "[]", 0, 64, NULL,                                   \
         "cipher suites to offer, by OpenSSL's names, best first; empty is OpenSSL's own choice"),           \
    LKEY(k "ssl_options.verify", ENUM, RELOAD, ssl.verify, "verify_none", 0, 0, verifies,                         \
         "verify_peer checks certificates that clients present"),                                            \
    LKEY(k "ssl_options.fail_if_no_peer_cert", BOOL, RELOAD, ssl.fail_if_no_peer_cert, "false", 0, 0, NULL,       \
         "with verify_peer: refuse clients that present no certificate"),                                    \
    LKEY(k "ssl_options.crlfile", PATH, RELOAD, ssl.crlfile, "", 0, 0, NULL,                                      \
         "PEM file with the certificates that each authority has revoked; a list that is out of date refuses all of its certificates"), \
    LKEY(k "ssl_options.peer_cert_as_username", ENUM, RELOAD, ssl.peer_cert_as_username, "disabled", 0, 0,        \
         cert_names, "what of a verified client certificate is the user name: cn, dn, or san, its first URI, else DNS name, else e-mail address"), \
    LKEY(k "ssl_options.psk_file", PATH, RELOAD, ssl.psk_file, "", 0, 0, NULL,                                    \
         "file with a line IDENTITY:KEY for each client that has a key instead of a certificate, the key in hexadecimal digits; the identity is the user name"), \
    LKEY(k "ssl_options.handshake_timeout", DURATION, RELOAD | SECONDS, ssl.handshake_timeout_ms, "15s",     \
         100, MS_H, NULL, "time for the TLS handshake")

#define WS_KEYS(k)                                                                                           \
    LKEY(k "websocket.mqtt_path", STRING, RELOAD | URL_PATH, ws.mqtt_path, "/mqtt", 1, 255, NULL,                     \
         "path of the URL that MQTT is served on"),                                                          \
    LKEY(k "websocket.max_frame_size", SIZE, RELOAD | INF, ws.max_frame_size, "16MB", 125, 4 * GB, NULL,     \
         "largest WebSocket frame; it may hold several MQTT packets or a part of one"),                      \
    LKEY(k "websocket.fail_if_no_subprotocol", BOOL, RELOAD, ws.fail_if_no_subprotocol, "true", 0, 0, NULL,  \
         "refuse clients that do not offer the WebSocket subprotocol mqtt")

#define ENABLE_KEY(k)                                                                                        \
    LKEY(k "enable", BOOL, 0, enable, "true", 0, 0, NULL, "whether to listen")
#define ENABLE_SSL_KEY(k)                                                                                    \
    LKEY(k "enable", BOOL, AUTO, enable, "auto", 0, 0, NULL,                                                 \
         "whether to listen; auto is true when ssl_options.certfile or psk_file is set")

/* clang-format on */

#endif
