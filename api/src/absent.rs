//! Routes of Tribler that are not there yet, by what they need.

/// What is missing, and the routes that wait for it.
pub(crate) type Missing = (&'static str, &'static [(&'static str, &'static str)]);

/// Of Tribler 7.5 and of the version that its documentation was made from.
pub(crate) const NOW: &[Missing] = &[
    (
        "channels",
        &[
            ("GET", "/channels"),
            ("GET", "/channels/{channel_pk}/{channel_id}"),
            ("POST", "/channels/{channel_pk}/{channel_id}/channels"),
            ("POST", "/channels/{channel_pk}/{channel_id}/collections"),
            ("GET", "/channels/{channel_pk}/{channel_id}/commit"),
            ("POST", "/channels/{channel_pk}/{channel_id}/commit"),
            ("POST", "/channels/{channel_pk}/{channel_id}/copy"),
            ("PUT", "/channels/{channel_pk}/{channel_id}/torrents"),
            ("GET", "/collections"),
            ("GET", "/collections/{channel_pk}/{channel_id}"),
            ("POST", "/collections/{channel_pk}/{channel_id}/channels"),
            ("POST", "/collections/{channel_pk}/{channel_id}/collections"),
            ("GET", "/collections/{channel_pk}/{channel_id}/commit"),
            ("POST", "/collections/{channel_pk}/{channel_id}/commit"),
            ("POST", "/collections/{channel_pk}/{channel_id}/copy"),
            ("PUT", "/collections/{channel_pk}/{channel_id}/torrents"),
            ("DELETE", "/metadata"),
            ("PATCH", "/metadata"),
            ("GET", "/metadata/{public_key}/{id}"),
            ("PATCH", "/metadata/{public_key}/{id}"),
            ("PUT", "/remote_query"),
            ("GET", "/search"),
            ("GET", "/search/completions"),
        ],
    ),
    (
        "ledger",
        &[
            ("GET", "/bandwidth/history"),
            ("GET", "/bandwidth/statistics"),
            ("GET", "/trustchain/bootstrap"),
            ("GET", "/trustchain/statistics"),
            ("GET", "/trustview"),
            ("GET", "/ipv8/trustchain/blocks/{block_hash}"),
            ("GET", "/ipv8/trustchain/recent"),
            ("GET", "/ipv8/trustchain/users"),
            ("GET", "/ipv8/trustchain/users/{pub_key}/blocks"),
        ],
    ),
    (
        "market",
        &[
            ("GET", "/market/asks"),
            ("PUT", "/market/asks"),
            ("GET", "/market/bids"),
            ("PUT", "/market/bids"),
            ("GET", "/market/matchmakers"),
            ("GET", "/market/orders"),
            ("POST", "/market/orders/{order_number}/cancel"),
            ("GET", "/market/state"),
            ("GET", "/market/transactions"),
            ("GET", "/market/transactions/{transaction_id}/payments"),
            ("GET", "/market/wallets"),
            ("PUT", "/market/wallets/{wallet_id}"),
            ("GET", "/market/wallets/{wallet_id}/balance"),
            ("GET", "/market/wallets/{wallet_id}/transactions"),
            ("POST", "/market/wallets/{wallet_id}/transfer"),
            ("GET", "/wallets"),
            ("PUT", "/wallets/{wallet_id}"),
            ("GET", "/wallets/{wallet_id}/balance"),
            ("GET", "/wallets/{wallet_id}/transactions"),
            ("POST", "/wallets/{wallet_id}/transfer"),
        ],
    ),
    (
        "attestations",
        &[
            ("GET", "/ipv8/attestation"),
            ("POST", "/ipv8/attestation"),
            ("GET", "/ipv8/identity"),
            (
                "PUT",
                "/ipv8/identity/{pseudonym_name}/allow/{verifier_key}",
            ),
            (
                "PUT",
                "/ipv8/identity/{pseudonym_name}/attest/{subject_key}",
            ),
            ("GET", "/ipv8/identity/{pseudonym_name}/credentials"),
            (
                "GET",
                "/ipv8/identity/{pseudonym_name}/credentials/{subject_key}",
            ),
            (
                "PUT",
                "/ipv8/identity/{pseudonym_name}/disallow/{verifier_key}",
            ),
            (
                "GET",
                "/ipv8/identity/{pseudonym_name}/outstanding/attestations",
            ),
            (
                "GET",
                "/ipv8/identity/{pseudonym_name}/outstanding/verifications",
            ),
            ("GET", "/ipv8/identity/{pseudonym_name}/peers"),
            ("GET", "/ipv8/identity/{pseudonym_name}/public_key"),
            ("GET", "/ipv8/identity/{pseudonym_name}/remove"),
            (
                "PUT",
                "/ipv8/identity/{pseudonym_name}/request/{authority_key}",
            ),
            ("GET", "/ipv8/identity/{pseudonym_name}/schemas"),
            ("GET", "/ipv8/identity/{pseudonym_name}/unload"),
            ("GET", "/ipv8/identity/{pseudonym_name}/verifications"),
            (
                "PUT",
                "/ipv8/identity/{pseudonym_name}/verify/{subject_key}",
            ),
        ],
    ),
];

/// Of Tribler 7.0.2, below `/v7.0`, where they differ from those above.
pub(crate) const V70: &[Missing] = &[
    (
        "channels",
        &[
            ("GET", "/channels/discovered"),
            ("PUT", "/channels/discovered"),
            ("GET", "/channels/discovered/{cid}"),
            ("POST", "/channels/discovered/{cid}/recheckfeeds"),
            ("GET", "/channels/discovered/{cid}/rssfeeds"),
            ("DELETE", "/channels/discovered/{cid}/rssfeeds/{url}"),
            ("PUT", "/channels/discovered/{cid}/rssfeeds/{url}"),
            ("GET", "/channels/discovered/{cid}/playlists"),
            ("PUT", "/channels/discovered/{cid}/playlists"),
            ("DELETE", "/channels/discovered/{cid}/playlists/{playlist}"),
            ("POST", "/channels/discovered/{cid}/playlists/{playlist}"),
            (
                "DELETE",
                "/channels/discovered/{cid}/playlists/{playlist}/{infohash}",
            ),
            (
                "PUT",
                "/channels/discovered/{cid}/playlists/{playlist}/{infohash}",
            ),
            ("GET", "/channels/discovered/{cid}/torrents"),
            ("PUT", "/channels/discovered/{cid}/torrents"),
            ("DELETE", "/channels/discovered/{cid}/torrents/{infohash}"),
            ("PUT", "/channels/discovered/{cid}/torrents/{url}"),
            ("GET", "/channels/popular"),
            ("GET", "/channels/subscribed"),
            ("DELETE", "/channels/subscribed/{cid}"),
            ("GET", "/channels/subscribed/{cid}"),
            ("PUT", "/channels/subscribed/{cid}"),
            ("GET", "/mychannel"),
            ("POST", "/mychannel"),
            ("GET", "/torrents/random"),
        ],
    ),
    (
        "ledger",
        &[
            ("GET", "/multichain/blocks/{identity}"),
            ("GET", "/multichain/statistics"),
        ],
    ),
    (
        "Dispersy, whose place IPv8 has taken",
        &[
            ("GET", "/statistics/communities"),
            ("GET", "/statistics/dispersy"),
        ],
    ),
];
