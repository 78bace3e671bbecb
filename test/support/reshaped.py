"""A plan with every kind of reshaping, for one SQL store; `STORE` is its URL."""
PLAN = """
whimbrel: 1
migration: shapes
stores: {db: "STORE"}
tables:
  - as: people
    from: db/people
    to: db/things
    create: things.sql
    items:
      - columns: {pk: "PERSON#{id}", sk: {const: PROFILE}, kind: {const: person}}
        same: [mail, name, role]
      - when: {present: role}
        columns: {pk: "ROLE#{role}", sk: "PERSON#{id}", name: name, kind: {const: member}}
        rest: drop
  - as: guests
    from: db/guests
    to: db/things
    columns: {pk: "GUEST#{id}", sk: {const: PROFILE}, name: {lookup: name, in: people, by: host, if_null: {const: nobody}}, kind: {const: guest}}
    same: [mail, host]
  - as: settings
    from: db/settings
    to: db/things
    group: [section]
    columns: {pk: "SETTINGS#{section}", sk: {const: ALL}, doc: {collect: value, by: key}, kind: {const: settings}}
  - as: log
    from: db/log
    to: db/events
    create: events.sql
    columns: {pk: "PERSON#{who}", sk: "AT#{at}#{id}", what: what}
sync: capture
cutover:
  max_hold: 3s
  switches: [{command: [touch, new-side], undo: [rm, -f, new-side], state: [test, -e, new-side]}]
"""
