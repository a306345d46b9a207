# SPDX-License-Identifier: Apache-2.0
"""What holds for every packet in which the server reports an error: it has a Reason String, which gives way when
the client has no use for it or no room for it."""
from mqttlib import MAX_PACKET, REASON_STRING, REQUEST_PROBLEM, USER_PROPERTY, V5, check_reason_string

TEXT_PROPS = (REASON_STRING, USER_PROPERTY)


def codes(pkt):
    return pkt.reasons if pkt.reasons is not None else [pkt.reason]


def check_error_text(case, provoke, may_always_explain=False, **client_options):
    """provoke(client) makes the server send its error packet and returns it. The packet must carry a Reason
    String; none when Request Problem Information is 0 (may_always_explain: the standard exempts this packet);
    and never be larger than the client's Maximum Packet Size, keeping its reason codes. The smallest limit tried
    is the size of the CONNACK, below which a client cannot connect."""
    client = case.client(version=V5, **client_options)
    full = check_reason_string(provoke(client))
    case.assertTrue(any(code >= 0x80 for code in codes(full)), full)

    quiet = provoke(case.client(props=[(REQUEST_PROBLEM, 0)], **client_options))
    case.assertEqual(codes(quiet), codes(full))
    if not may_always_explain:
        case.assertFalse([p for p in quiet.props if p[0] in TEXT_PROPS], f"explained without being asked: {quiet!r}")

    least, size = len(client.connack.raw), len(full.raw)
    if any(ident in TEXT_PROPS for ident, _ in full.props):
        case.assertLess(least, size, "CONNACK is larger than this packet: its limits cannot be tested")
    for limit in {least, (least + size) // 2, size - 1, size}:
        if least <= limit <= size:
            small = provoke(case.client(props=[(MAX_PACKET, limit)], **client_options))
            case.assertEqual(codes(small), codes(full), f"with Maximum Packet Size {limit}")
            case.assertLessEqual(len(small.raw), limit, f"larger than Maximum Packet Size: {small!r}")
            if limit == size:
                case.assertEqual(small.props, full.props, "left out a text for which there was room")
    return full
