//! What the engine does, one file for each behaviour, in one program: built once, and run on all processors.

mod calls_move;
mod channels_idle;
mod codecs_by_number;
mod comfort_noise;
mod diagnosis;
mod early_media_and_forks;
mod faults_network;
mod hold;
mod hold_music;
mod keys;
mod keys_in_sound;
mod latching;
mod messages;
mod offer_answer;
mod one_stream;
mod one_stream_in_any_order;
mod one_stream_reports;
mod originals_channel;
mod originals_keys;
mod originals_mix;
mod originals_record;
mod originals_sound;
mod ports_and_limits;
mod quality;
mod random_input;
mod reception_reports;
mod recording;
mod recordings_have_a_limit;
mod relay_is_bit_exact;
mod reports;
mod rooms;
mod rooms_of_any_rate;
mod rooms_with_sounds;
mod sounds_played;
mod spare_seat;
mod tones_and_echo;
mod transcoding;
mod transcoding_reports;

#[path = "../hall/mod.rs"]
mod hall;
#[path = "../originals/mod.rs"]
mod originals;
#[path = "../stage/mod.rs"]
mod stage;
