-- What the rules of stability need to know of a participant.

alter table participant
    add column moved_at timestamptz,                   -- when it was last given another node; null: never
    add column guessed boolean not null default false; -- it was given its node with nothing known of it
